# SPDX-License-Identifier: Apache-2.0
"""franz-go: its registry client's whole interface, and records of its serializer through the gateway."""
from tools import go_program, run_steps


def test_franz_go(request):
    program = go_program()
    run_steps(program, request.getfixturevalue("where"))
