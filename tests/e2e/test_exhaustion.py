# SPDX-License-Identifier: Apache-2.0
"""What one request costs the gateway for each element it names: time and memory must grow with the request and no
faster, whoever sends it and whatever he may do. Each request runs against a gateway of its own."""
import functools

import pytest

import abuse
from abuse_requests import request, requests
from system import System

GROWTH_MAX = 7              # processor time at four times the elements, against a linear 4
GROWTH_SEEN_SECONDS = 0.04  # below this, noise and the price of fresh pages are more than what is measured
ELEMENT_SECONDS_MAX = 20e-6
ELEMENT_BYTES_MAX = 1024
SMALL_BYTES = 1 << 20       # what any request may take beside its elements
NAMES = [r.what for r in requests()]


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    abuse.prepare(system)
    yield system
    system.close()


@pytest.fixture(scope="module")
def cost(castellan):
    @functools.lru_cache(maxsize=None)
    def measure(what):
        asked = request(what)
        with abuse.Gateway(castellan) as gateway:
            with gateway.connect("admin") as client:
                if asked.key not in client.served():
                    return None, None
            found = abuse.cost_of(gateway, asked)
            assert gateway.alive()
            return found

    def measured(what):
        costs, wrong = measure(what)
        if costs is None:
            pytest.skip("the bundled brokers do not serve this API")
        assert wrong is None, wrong
        return costs
    return measured


def test_every_request_is_told_apart():
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("what", NAMES)
def test_memory_is_small_for_each_element(cost, what):
    for n, spent in cost(what).items():
        assert spent.bytes <= n * ELEMENT_BYTES_MAX + SMALL_BYTES, \
            f"{n} elements take {spent.bytes / n:.0f} bytes each, the most is {ELEMENT_BYTES_MAX}"


@pytest.mark.parametrize("what", NAMES)
def test_time_grows_with_the_elements_and_no_faster(cost, what):
    costs = cost(what)
    for n, spent in costs.items():
        assert spent.cpu <= n * ELEMENT_SECONDS_MAX, f"{n} elements take {1e6 * spent.cpu / n:.1f} us each"
    assert set(costs) == set(abuse.SIZES), f"not measured beyond {max(costs)} elements for want of memory"
    small, large = (costs[n].cpu for n in abuse.SIZES[-2:])
    assert large < GROWTH_SEEN_SECONDS or large / small < GROWTH_MAX, \
        f"four times the elements take {large / small:.1f} times as long ({1000 * large:.0f} ms)"
