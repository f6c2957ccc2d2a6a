"""A Slurm of two one-core nodes on this machine's loopback, without accounting, as small installations have it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ray_nodes import wait

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
MISSING = (
    "munged, slurmctld, slurmd and root's rights are needed: make test-cluster installs Slurm from Debian's packages"
)

CONF = """\
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool.%n
SlurmdLogFile={folder}/slurmd.%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=main Nodes=n1,n2 Default=YES
"""


def can_run_slurm() -> bool:
    """Whether this machine has what it takes."""
    return os.geteuid() == 0 and all(map(shutil.which, PROGRAMS))


class SlurmNodes:
    """Its daemons: munge's, the controller's, and one of each node."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self._folder.chmod(0o755)  # munge wants it
        (self._folder / "state").mkdir()
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            ports = [server.getsockname()[1] for server in servers]
        conf = CONF.format(folder=self._folder, host=socket.gethostname(), ports=ports)
        (self._folder / "slurm.conf").write_text(conf, encoding="utf-8")
        key = self._folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        self.environment = {"SLURM_CONF": str(self._folder / "slurm.conf")}
        files = {
            "socket": "munge.socket",
            "pid-file": "munged.pid",
            "log-file": "munged.log",
            "seed-file": "munged.seed",
        }
        options = [f"--{option}={self._folder / name}" for option, name in files.items()]
        self._daemons = [self._start("munged", "--foreground", "--force", f"--key-file={key}", *options)]
        wait(lambda: (self._folder / "munge.socket").exists())
        self._daemons += [self._start("slurmctld", "-D"), *(self._start("slurmd", "-D", "-N", n) for n in ("n1", "n2"))]
        wait(lambda: self.told("sinfo", "--noheader", "--format=%t %D") == "idle 2")

    def told(self, *command: str) -> str:
        """What a program of Slurm says."""
        asked = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        return asked.stdout.strip()

    def running(self) -> list[tuple[str, str]]:
        """Slurm jobs that run, by number, each with its node."""
        lines = self.told("squeue", "--noheader", "--states=RUNNING", "--format=%A %N").splitlines()
        return [(number, node) for number, node in map(str.split, lines)]

    def cancel_one(self) -> bool:
        """Cancel a job that runs, as an administrator may; whether there was one."""
        for number, _ in self.running():
            self.told("scancel", number)
            return True
        return False

    def kill_one(self) -> bool:
        """Kill all processes of a job that runs, as for want of memory; whether there was one."""
        for number, _ in self.running():
            self.told("scancel", "--signal=KILL", "--full", number)
            return True
        return False

    def take_away_one(self) -> bool:
        """Take a node that runs a job out of service; whether there was one. Its job is Slurm's to run again."""
        for _, node in self.running():
            self.told("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
            return True
        return False

    def bring_back(self) -> None:
        """All nodes into service."""
        for node in ("n1", "n2"):
            self.told("scontrol", "update", f"nodename={node}", "state=resume")
        wait(lambda: self.told("sinfo", "--noheader", "--format=%t %D") == "idle 2")

    def close(self) -> None:
        """End all daemons."""
        for daemon in self._daemons[::-1]:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self._folder,
            env={**os.environ, **self.environment},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextlib.contextmanager
def two_slurm_nodes() -> Iterator[SlurmNodes]:
    """Both idle, of a Slurm that this process's commands use, as long as the block lasts."""
    nodes = SlurmNodes()
    try:
        os.environ.update(nodes.environment)
        yield nodes
    finally:
        os.environ.pop("SLURM_CONF", None)
        nodes.close()
