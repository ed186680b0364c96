import type { ContainerConfig } from "./container-image.ts";
import type { ContainerUser } from "./container-user.ts";
import { COMMAND_FILE, commandScript } from "./given-script.ts";
import { shellWord } from "./shell-word.ts";

/** A byte written here ends the machine and is the exit status of `ringfence run`, as of the entry point. */
export const EXIT_STATUS_PORT = 0xf4;

/** What udhcpc calls with what it has learned. */
export const UDHCPC_SCRIPT = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
for gateway in $router; do ip route replace default via "$gateway" dev "$interface"; break; done
for server in $dns; do echo "nameserver $server"; done > /resolv.conf
`;

/**
 * The init of a machine that runs one program. It stays in the initial RAM disk, as process 1: it mounts the disk,
 * asks for an address, runs the program as its user with the disk as its root, and ends the machine with its status.
 */
export function containerInit(hostName: string): string {
  return `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
hostname ${hostName}
modprobe -q virtio_pci
for alias in $(cat /sys/bus/virtio/devices/*/modalias); do modprobe -q "$alias"; done
ip link set lo up
if [ -e /sys/class/net/eth0 ]; then
  ip link set eth0 up
  udhcpc -q -n -t 10 -T 1 -i eth0 >/dev/null 2>&1 || echo "no address was offered to eth0"
fi
root=/rootfs
end() {
  kill -9 -1
  sync
  for inside in .ringfence dev/shm dev/pts dev sys proc; do umount $root/$inside 2>/dev/null; done
  umount $root 2>/dev/null || mount -o remount,ro $root
  printf "\\\\$(printf %03o $(($1 & 255)))" | /exit-with
  poweroff -f
}
mkdir -p $root
if ! mount -t ext4 -o noatime /dev/vda $root; then
  echo "the disk cannot be mounted"
  end 125
fi
mkdir -p $root/proc $root/sys $root/dev $root/etc $root/tmp $root/run
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount -o bind /dev $root/dev
mkdir -p $root/dev/pts $root/dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts $root/dev/pts
mount -t tmpfs tmpfs $root/dev/shm
ln -sf /proc/self/fd $root/dev/fd
ln -sf /proc/self/fd/0 $root/dev/stdin
ln -sf /proc/self/fd/1 $root/dev/stdout
ln -sf /proc/self/fd/2 $root/dev/stderr
[ -h $root/etc/resolv.conf ] || [ ! -e /resolv.conf ] || cat /resolv.conf > $root/etc/resolv.conf
[ -e $root/etc/hosts ] || echo "127.0.0.1 localhost ${hostName}" > $root/etc/hosts
# The program may set the terminal's owner to its own user.
chmod 666 /dev/ttyS0 /dev/console
mkdir -p $root/.ringfence
mount -t tmpfs tmpfs $root/.ringfence
cp /bin/busybox /start $root/.ringfence/
[ ! -e /${COMMAND_FILE} ] || cp /${COMMAND_FILE} $root/.ringfence/
chmod 755 $root/.ringfence
setsid cttyhack chroot $root /.ringfence/busybox sh /.ringfence/start
end $?
`;
}

/**
 * Runs inside of the container's root. The script that `run` brings, if any, sets other words for the command, or is a
 * whole start itself and does not come back.
 */
export function containerStart(config: ContainerConfig, user: ContainerUser): string {
  return `#!/bin/sh
${commandScript(config.command)}given=/.ringfence/${COMMAND_FILE}
[ ! -e "$given" ] || . "$given"
${programScript(config, user)}`;
}

/** Takes the place of the whole of an image's start: for a run that changes how the program runs. */
export function changedStart(config: ContainerConfig, user: ContainerUser): string {
  return commandScript(config.command) + programScript(config, user);
}

/** Everything that a configuration says but for its command, which the shell's parameters are; then the program. */
function programScript(config: ContainerConfig, { uid, gid, home }: ContainerUser): string {
  const { environment, workingFolder, entryPoint } = config;
  const settingOf = (name: string) =>
    environment.findLast((setting) => setting.startsWith(`${name}=`))?.slice(name.length + 1);
  const settings = [...environment, ...(settingOf("HOME") === undefined ? [`HOME=${home}`] : [])];
  return `busybox=/.ringfence/busybox
set -- ${entryPoint.map(shellWord).join(" ")} "$@"
program=$1
shift
$busybox mkdir -p ${shellWord(workingFolder)}
cd ${shellWord(workingFolder)} || exit 126
case "$program" in
*/*) ;;
*)
  for folder in ${(settingOf("PATH") ?? "/bin").split(":").map(shellWord).join(" ")}; do
    [ -x "$folder/$program" ] && [ ! -d "$folder/$program" ] && program=$folder/$program && break
  done
  ;;
esac
if [ ! -e "$program" ]; then
  echo "the image has no program $program"
  exit 127
fi
# busybox would take the name of a program without a slash for one of its own.
case "$program" in */*) ;; *) program=./$program ;; esac
exec $busybox env -i TERM="\${TERM:-linux}" ${settings.map(shellWord).join(" ")} \
  $busybox nsenter -S ${uid} -G ${gid} "$program" "$@"
`;
}
