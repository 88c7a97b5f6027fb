"""A virtual machine of QEMU with Debian's kernel and systemd, on the files of this machine, which it cannot change.

For what this machine's own kernel is not set up for. The files are seen through 9p, and what the guest writes stays in
its memory. Kernel and busybox come from Debian; without KVM, which few machines have twice, it takes some minutes.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "netfs", "fscache",
           "9pnet", "9pnet_virtio", "9p", "overlay")  # fmt: skip
"""The modules of the kernel that the files need, each after those that it needs itself."""
LONGEST_S = 1500

_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /new /lower /up
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for m in {modules}; do $b insmod /modules/$m.ko; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /lower
$b mount -t tmpfs tmpfs /up; $b mkdir /up/u /up/w
$b mount -t overlay -o lowerdir=/lower,upperdir=/up/u,workdir=/up/w overlay /new
$b cp -a /over/. /new/
{prepare}
for m in proc sys dev; do $b mount --move /$m /new/$m; done
$b mount -t tmpfs tmpfs /new/tmp; $b mount -t tmpfs tmpfs /new/run
exec $b switch_root /new /lib/systemd/systemd --unit=test.target --show-status=0
"""
_UNITS = {
    "etc/systemd/system/test.target": "[Unit]\nDefaultDependencies=no\nRequires=test.service\nAfter=test.service\n",
    "etc/systemd/system/test.service": """[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStartPre=-/bin/sh -c 'ip link set lo up'
ExecStart=/bin/sh -c '{command}; systemctl --force --force poweroff'
StandardOutput=tty
StandardError=inherit
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity
""",
}


def missing() -> str:
    """Return which program a virtual machine needs and this machine lacks; empty for none."""
    needed = {"qemu-system-x86_64": "qemu-system-x86", "apt-get": "apt", "dpkg-deb": "dpkg", "/lib/systemd/systemd":
              "systemd"}  # fmt: skip
    return ", ".join(package for program, package in needed.items() if shutil.which(program) is None)


def run(folder: Path, files: Mapping[str, str], prepare: str, command: str) -> str:
    """Boot, run a command as root, and return what the console showed.

    Parameters
    ----------
    folder
        A folder for what is downloaded and made.
    files
        Content of files of the guest by path, without the first slash.
    prepare
        What the shell does with the guest's files, which lie in /new, before systemd starts; busybox is `$b`.
    command
        The command; the machine ends with it.
    """
    ram = folder / "ram"
    kernel = _kernel(folder, ram)
    for path, text in (*files.items(), *((name, text.replace("{command}", command)) for name, text in _UNITS.items())):
        target = ram / "over" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    init = ram / "init"
    init.write_text(_INIT.replace("{modules}", " ".join(MODULES)).replace("{prepare}", prepare), encoding="utf-8")
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(ram)) for path in sorted(ram.rglob("*")))
    packed = subprocess.run(
        [ram / "bin/busybox", "cpio", "-o", "-H", "newc"],
        cwd=ram,
        input=names.encode(),
        capture_output=True,
        check=True,
    )
    (folder / "initrd.gz").write_bytes(gzip.compress(packed.stdout, 1))
    booted = subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "2048", "-nographic", "-no-reboot",
         "-kernel", kernel, "-initrd", folder / "initrd.gz", "-append", "console=ttyS0 quiet panic=-1",
         "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST_S, check=True,
    )  # fmt: skip
    return booted.stdout.decode("utf-8", "replace")


def _kernel(folder: Path, ram: Path) -> Path:
    """Fetch Debian's kernel and busybox, put what the first steps need into the RAM disk, and return the kernel."""
    told = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=True)
    image = next(line.split()[-1] for line in told.stdout.splitlines() if "Depends:" in line)
    subprocess.run(["apt-get", "download", "-q", image, "busybox-static"], cwd=folder, capture_output=True, check=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder / "unpacked"], check=True)
    (ram / "bin").mkdir(parents=True)
    (ram / "modules").mkdir()
    shutil.copy(folder / "unpacked/bin/busybox", ram / "bin/busybox")
    for name in MODULES:
        (module,) = folder.glob(f"unpacked/lib/modules/*/kernel/**/{name}.ko")
        shutil.copy(module, ram / "modules")
    return next(folder.glob("unpacked/boot/vmlinuz-*"))
