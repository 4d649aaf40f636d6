# SPDX-License-Identifier: Apache-2.0
"""Folders that somebody else may have prepared, the key process's sockets in them, and answers that only look like
success."""
import http.server
import json
import os
import pathlib
import subprocess
import threading

import pytest

from system import CASTELLAN, System, free_port_base

SOMEBODY_ELSE = 12345


def setting(path, key):
    for line in path.read_text().splitlines():
        if line.startswith(key + "="):
            return line.split("=", 1)[1]
    return None


def up_fails(data):
    words = [str(CASTELLAN), "up", "--data", str(data), "--port-base", str(free_port_base()), "--brokers", "1"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1 and done.stdout == "", done
    return done.stderr


def test_a_long_path_keeps_the_sockets_in_the_data_folder(tmp_path):
    deep = tmp_path / ("long-" * 20) / ("path-" * 20)
    deep.mkdir(parents=True, mode=0o700)
    system = System(folder=str(deep), demo_users=False)
    system.start()
    try:
        for role in ("keyd", "gateway"):
            path = pathlib.Path(setting(system.data / role / f"{role}.properties", "castellan.keyd.socket"))
            assert len(str(path)) > 200 and path.parent == system.data / "keyd" and path.is_socket()
        system.castellan("forget", "ann", "--receipt", str(tmp_path / "ann.json"))
        system.castellan("receipt", "verify", str(tmp_path / "ann.json"), "--id", "ann", "--key",
                         str(system.data / "keyd" / "receipt-signing.pub"))
    finally:
        system.close()


def test_a_data_folder_open_to_others_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "something").touch()
    words = up_fails(data)
    assert str(data) in words and "open to other users" in words and "chmod 700" in words


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
def test_a_data_folder_of_somebody_else_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    os.chown(data, SOMEBODY_ELSE, SOMEBODY_ELSE)
    assert f"belongs to user {SOMEBODY_ELSE}" in up_fails(data)
    link = tmp_path / "link"
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    link.symlink_to(mine)
    os.chown(link, SOMEBODY_ELSE, SOMEBODY_ELSE, follow_symlinks=False)
    assert "symbolic link" in up_fails(link)
    assert not list(mine.iterdir())


def test_a_part_of_the_data_folder_open_to_others_is_refused(tmp_path):
    (tmp_path / "keyd").mkdir(mode=0o700)
    (tmp_path / "keyd" / "root").touch()
    (tmp_path / "keyd").chmod(0o777)
    tmp_path.chmod(0o700)
    assert f"{tmp_path}/keyd is open to other users" in up_fails(tmp_path)


# ---- the client properties found in the current folder ----

@pytest.fixture
def found(tmp_path):
    """A folder with client properties that nobody answers."""
    clients = tmp_path / "castellan-data" / "clients"
    clients.mkdir(parents=True, mode=0o700)
    (tmp_path / "castellan-data").chmod(0o700)
    config = clients / "admin.properties"
    config.write_text("bootstrap.servers=127.0.0.1:1\nsecurity.protocol=PLAINTEXT\n"
                      "castellan.admin.url=http://127.0.0.1:1\n")
    config.chmod(0o600)
    return tmp_path, config


def forget_here(folder, *more):
    env = {k: v for k, v in os.environ.items() if k != "CASTELLAN_CONFIG"}
    return subprocess.run([str(CASTELLAN), "forget", "ann", *more], cwd=folder, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)


def test_it_is_said_which_file_is_used(found):
    folder, _ = found
    assert "castellan: using castellan-data/clients/admin.properties\n" in forget_here(folder).stderr


@pytest.mark.parametrize("part", ["castellan-data", "castellan-data/clients", "castellan-data/clients/admin.properties"])
def test_what_others_can_write_is_not_used(found, part):
    folder, _ = found
    (folder / part).chmod(0o777)
    done = forget_here(folder)
    assert done.returncode == 1 and "can be written by other users" in done.stderr and "--config" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
@pytest.mark.parametrize("part", ["castellan-data", "castellan-data/clients", "castellan-data/clients/admin.properties"])
def test_what_belongs_to_somebody_else_is_not_used(found, part):
    folder, _ = found
    os.chown(folder / part, SOMEBODY_ELSE, SOMEBODY_ELSE)
    done = forget_here(folder)
    assert done.returncode == 1 and f"belongs to user {SOMEBODY_ELSE}" in done.stderr


# ---- answers that are no receipt ----

RECEIPT_LOOKALIKE = {"receipt": {"level": "E2", "seq": 7, "keys": []}}


@pytest.mark.parametrize("answer", [{}, {"state": "done"}, {"ok": True}, RECEIPT_LOOKALIKE, None])
def test_an_answer_that_is_no_receipt_is_no_success(tmp_path, answer):
    class Impostor(http.server.BaseHTTPRequestHandler):
        def do_DELETE(self):
            body = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Impostor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = tmp_path / "c.properties"
        config.write_text("bootstrap.servers=127.0.0.1:1\nsecurity.protocol=PLAINTEXT\n"
                          f"castellan.admin.url=http://127.0.0.1:{server.server_address[1]}\n")
        done = forget_here(tmp_path, "--config", str(config))
        server.shutdown()
    assert done.returncode == 1 and done.stdout == "" and "no receipt" in done.stderr, done
    assert not list(tmp_path.glob("receipt-*"))
