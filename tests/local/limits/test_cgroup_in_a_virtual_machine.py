"""The tests of cgroups on a Linux of their own, which has some to delegate: User-mode Linux, a program.

It sees the files of this machine, and can't change them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LINUX = shutil.which("linux.uml")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(LINUX is None, reason="needs User-mode Linux (Debian: user-mode-linux)"),
    pytest.mark.skipif(os.getuid() != 0, reason="needs root, as whom its first process sees the files"),
]

#: The first process. Like systemd with Delegate=yes and DelegateSubgroup=runner, but for `nobody` and root.
INIT = """#!/bin/sh
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 HOME=/run/home TMPDIR=/run/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t cgroup2 none /sys/fs/cgroup
mkdir -m 1777 /run/home /run/tmp
ip link set lo up
echo +memory +pids > /sys/fs/cgroup/cgroup.subtree_control
mkdir -p /sys/fs/cgroup/ci.service/runner
chown nobody /sys/fs/cgroup/ci.service /sys/fs/cgroup/ci.service/*
{python} -c "import os; os.setxattr('/sys/fs/cgroup/ci.service', 'user.delegate', b'1')"
echo $$ > /sys/fs/cgroup/ci.service/runner/cgroup.procs
echo 200 > /proc/self/oom_score_adj
cd {directory}
PYTHONDONTWRITEBYTECODE=1 {python} -m pytest -p no:cacheprovider --color=no -rs -m "" {tests}
echo o > /proc/sysrq-trigger
sleep 60
"""


def test_where_some_are_delegated(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    tests = Path(__file__).with_name("test_cgroup.py")
    init = tmp_path / "init"
    init.write_text(INIT.format(python=sys.executable, directory=pytestconfig.rootpath, tests=tests))
    init.chmod(0o755)

    machine = [str(LINUX), "mem=2G", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}"]
    said = subprocess.run(
        [*machine, "con=null", "con0=null,fd:1"],
        env={**os.environ, "HOME": str(tmp_path)},  # it leaves its socket there
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    ).stdout

    found = re.search(r"=+ (\d+) passed.* in [\d.]+s.* =+", said)
    assert found, said
    assert "failed" not in found[0], said
    assert "no cgroup is delegated" not in said, said
    assert int(found[1]) >= 9
