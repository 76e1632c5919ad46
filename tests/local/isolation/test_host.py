"""With this machine's network a sandbox finds the machine's name servers, wherever those are written down."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.local_server import Api, serving

from pytest_agb.local.isolation import choose

# Makes /etc/resolv.conf a link out of the system folders, as systemd-resolved and WSL have it.
_ELSEWHERE = """
mount -t tmpfs tmpfs /run && mkdir /run/resolver &&
echo "nameserver 192.0.2.53" > /run/resolver/resolv.conf &&
mount --bind {etc} /etc && exec "$@"
"""


@pytest.mark.needs_unshare
@pytest.mark.parametrize("way", choose.WAYS)
@pytest.mark.parametrize("network", ["host", "none"])
def test_the_name_servers_are_known(way: str, network: str, tmp_path: Path) -> None:
    if choose.obstacle_to(way):
        pytest.skip(f"no {way} on this machine: there is nothing to test")
    etc = tmp_path / "etc"
    etc.mkdir()
    for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache"):
        if Path("/etc", name).exists():
            shutil.copy(f"/etc/{name}", etc)
    (etc / "resolv.conf").symlink_to("../run/resolver/resolv.conf")
    prefix = ("unshare", "-Urm", "sh", "-c", _ELSEWHERE.format(etc=etc), "sh")
    with serving("--isolation", way, "--network", network, prefix=prefix) as server:
        api = Api(server)
        with api.http, api.session() as sandbox:
            result = sandbox.shell(
                "cat /etc/resolv.conf; echo x > /run/resolver/resolv.conf; ls /run/resolver"
            )
    assert ("nameserver 192.0.2.53" in result["stdout"]) is (network == "host")
    assert result["stderr"]  # written it was not
