# SPDX-License-Identifier: Apache-2.0
"""Clients that do not behave: they take no answers, send halves of requests, send little that unpacks to much, come in
thousands. The gateway's memory stays bounded, an honest client beside each of them is served, and what was taken is
given back."""
import threading
import time

import pytest

import abuse
from abuse_requests import request
from system import System
from test_faults import wait_for

MIB = 1 << 20
UNREAD_BYTES_MAX = 8 * MIB       # for answers of one connection that nobody takes
STALL_MS = 1500
STALL_SECONDS_MAX = 20           # until a closing is seen, on a busy machine
HONEST_P99_MS_MAX, HONEST_P99_TIMES_MAX = 500, 3   # and so many times what it is beside nobody, on a busy machine
HONEST_MAX_MS_MAX = 3000
ABUSE_SECONDS = 3
CONNECTIONS = 1000
HALVES, HALVES_BYTES_MAX = 1000, 384 * MIB  # of a gigabyte that is offered


@pytest.fixture(scope="module")
def castellan():
    system = System()
    system.start()
    abuse.prepare(system)
    abuse.prepare_policies(system)
    yield system
    system.close()


@pytest.fixture(scope="module")
def p99_ms_max(castellan):
    with abuse.Gateway(castellan) as gateway:
        with abuse.Honest(gateway) as honest:
            time.sleep(ABUSE_SECONDS)
    assert not honest.lost
    return HONEST_P99_MS_MAX + HONEST_P99_TIMES_MAX * honest.p99_ms()


# ---- answers that nobody takes ----

UNREAD = {"before authentication": (lambda: abuse.API_VERSIONS_ASKED, None),
          "Metadata": (abuse.metadata_of_long_names, "bob"),
          "FindCoordinator": (lambda: request("FindCoordinator, empty keys").frame(20000), "bob"),
          "Fetch": (abuse.fetch_of_records, "admin")}


def unread(gateway, what):
    make_frame, user = UNREAD[what]
    if what != "Fetch":
        return abuse.Unread(gateway, make_frame(), user)
    return abuse.Unread(gateway, make_frame(), user, abuse.fill(gateway), pause=0.02)


@pytest.mark.parametrize("what", UNREAD)
def test_answers_that_nobody_takes_are_not_stored_without_end(castellan, what):
    with abuse.Gateway(castellan) as gateway, unread(gateway, what) as client:
        with gateway.measured() as spent:
            client.ask(time.monotonic() + 5)
        assert spent.bytes < UNREAD_BYTES_MAX, f"{spent.bytes / MIB:.0f} MiB"
        with abuse.Honest(gateway) as honest:
            time.sleep(0.5)
        assert not honest.lost and honest.latencies


@pytest.mark.parametrize("what", UNREAD)
def test_who_takes_no_answers_is_closed(castellan, what):
    with abuse.Gateway(castellan, **{"castellan.write.stall.ms": STALL_MS}) as gateway:
        with unread(gateway, what) as client:
            wait_for(lambda: client.ask(time.monotonic() + 1, patience=0.2) or client.closed, "the closing",
                     STALL_SECONDS_MAX)


def test_who_takes_answers_slowly_is_not_closed(castellan):
    """Few bytes at a time, but never none for as long as castellan.write.stall.ms."""
    with abuse.Gateway(castellan, **{"castellan.write.stall.ms": STALL_MS}) as gateway:
        with unread(gateway, "Metadata") as client:
            client.ask(time.monotonic() + 1, patience=0.2)
            client.client.socket.settimeout(STALL_SECONDS_MAX)
            until = time.monotonic() + 4 * STALL_MS / 1000
            while time.monotonic() < until:
                assert client.client.socket.recv(4096), "closed"
                time.sleep(0.1)


# ---- memory comes back ----

def test_memory_after_many_connections(castellan):
    with abuse.Gateway(castellan, **{"num.network.threads": 2}) as gateway:
        with gateway.connect() as client:
            client.served()
        before = gateway.memory()
        abuse.open_and_close(gateway, CONNECTIONS)
        most = before * 1.2 + 16 * MIB
        wait_for(lambda: gateway.memory() <= most, f"at most {most / MIB:.0f} MiB, as before",
                 also=lambda: f"{gateway.memory() / MIB:.0f} MiB")


def test_memory_after_a_large_request(castellan):
    """Item by item it may be much; afterwards it is nobody's."""
    with abuse.Gateway(castellan) as gateway:
        with gateway.connect("bob") as client:
            before = gateway.memory()
            client.request(request("Produce, topics"), 1500)
            client.request(request("FindCoordinator, empty keys"), 200000)
        most = before * 1.2 + 16 * MIB
        wait_for(lambda: gateway.memory() <= most, f"at most {most / MIB:.0f} MiB, as before",
                 also=lambda: f"{gateway.memory() / MIB:.0f} MiB")


def test_memory_of_many_halves_is_bounded(castellan, p99_ms_max):
    with abuse.Gateway(castellan) as gateway, abuse.HalfSent(gateway, HALVES) as clients:
        with abuse.Honest(gateway) as honest, gateway.measured() as spent:
            clients.send(time.monotonic() + 5)
            time.sleep(0.5)
        assert spent.bytes < HALVES_BYTES_MAX, f"{spent.bytes / MIB:.0f} MiB of {clients.sent / MIB:.0f} sent"
        assert not honest.lost and honest.p99_ms() < p99_ms_max, (honest.lost, honest.p99_ms())


# ---- an honest client beside each ----

@pytest.mark.parametrize("what", abuse.ABUSERS)
def test_an_honest_client_is_served_beside(castellan, p99_ms_max, what):
    ended = []

    def attack(until):
        try:
            abuse.ABUSERS[what](gateway, until)
        except OSError as e:
            ended.append(e)  # an abuser may be refused; the honest client may not

    with abuse.Gateway(castellan) as gateway:
        with abuse.Honest(gateway) as honest:
            thread = threading.Thread(target=attack, args=(time.monotonic() + ABUSE_SECONDS,))
            thread.start()
            thread.join()
        assert gateway.alive()
    assert not honest.lost
    assert honest.p99_ms() < p99_ms_max and honest.max_ms() < HONEST_MAX_MS_MAX, \
        f"p99 {honest.p99_ms():.0f} ms of {p99_ms_max:.0f}, at most {honest.max_ms():.0f} ms"
