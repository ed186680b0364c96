import { spawnSync } from "node:child_process";
import { type CpioEntry, writeCpio } from "../cpio.ts";
import { moduleEntries } from "./kernel-modules.ts";

/** Changes when the same busybox gives another archive. */
export const INITRAMFS_RECIPE = "initramfs-13";

/** What the guest runs first. It only prepares the file systems; busybox's own init does the rest. */
const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
hostname ringfence
# Drivers for virtio devices, if there are any: 0x1af4 is their vendor.
if grep -qs 0x1af4 /sys/bus/pci/devices/*/vendor; then
  modprobe -q virtio_pci
  for alias in $(cat /sys/bus/virtio/devices/*/modalias 2>/dev/null); do modprobe -q "$alias"; done
fi
# Folders that the host shares, and names on the kernel's command line.
read -r words < /proc/cmdline
for word in $words; do
  case $word in
  ringfence.share=*)
    tag=\${word#*=}
    mkdir -p "/mnt/$tag"
    mount -t virtiofs "$tag" "/mnt/$tag" ;;
  esac
done
setsid /sbin/ringfence-agent &
exec /sbin/init
`;

/** Beside the shell, which does not wait for it: an address for each card. */
const NETWORK_UP = `#!/bin/sh
ip link set lo up
for card in /sys/class/net/*; do
  [ -e "$card/device" ] || continue
  name=\${card##*/}
  ip link set "$name" up
  udhcpc -b -q -S -t 5 -T 1 -i "$name" >/dev/null 2>&1 &
done
`;

/** Beside the shell too: the power button powers off. The kernel tells of it as an input device. */
const POWER_BUTTON = `#!/bin/sh
modprobe -q evdev && modprobe -q button || exit
mkdir -p /var/run /var/log
exec acpid -l /dev/null
`;

/** What udhcpc calls with what it has learned. */
const UDHCPC_SCRIPT = `#!/bin/sh
case "$1" in
deconfig)
  ip -4 address flush dev "$interface" ;;
bound|renew)
  ip -4 address flush dev "$interface"
  ip address add "$ip/$mask" dev "$interface"
  for gateway in $router; do ip route replace default via "$gateway" dev "$interface"; break; done
  : > /etc/resolv.conf
  for server in $dns; do echo "nameserver $server" >> /etc/resolv.conf; done ;;
esac
`;

/**
 * Runs commands for the host, several at a time. Requests come over the port ringfence.agent of the virtio console, or
 * else over the second serial port, a line each:
 *
 *     run ID COMMAND        COMMAND for the shell, with the escapes of printf's %b
 *     write ID BYTES        answered with "go"; then come so many bytes, the input of command ID
 *     kill ID
 *     sync ID
 *
 * Answers are lines too, written by one process, to which the others give notice through a pipe; behind
 * "done ID STATUS OUT ERR" come so many bytes of standard output and of standard error.
 */
const AGENT = `#!/bin/sh
export HOME=/root PATH=/bin:/sbin:/usr/bin:/usr/sbin TERM=dumb
run=/run/agent
if grep -q '^1: uart:16550' /proc/tty/driver/serial; then
  port=/dev/ttyS1
elif grep -qs virtio_console /proc/modules; then
  # The driver finds its ports one after the other.
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    name=$(grep -ls '^ringfence.agent$' /sys/class/virtio-ports/*/name) && break
    sleep 0.1
  done
  [ -n "$name" ] || exit
  name=\${name%/name}
  port=/dev/\${name##*/}
else
  exit
fi
mkdir -p $run && mkfifo $run/notices || exit 1
cd /root
# A port of the console can be opened once.
exec 0<>$port 1>&0 2>/dev/null 3<>$run/notices
[ $port != /dev/ttyS1 ] || stty raw -echo crtscts
answer() {
  while read -r kind id status <&3; do
    if [ "$kind" != done ]; then
      echo "$kind $id $status"
      continue
    fi
    set -- $(stat -c %s $run/$id.out $run/$id.err)
    echo "done $id $status $1 $2"
    cat $run/$id.out $run/$id.err
    rm -f $run/$id.*
  done
}
execute() {
  setsid sh $run/$1.command <$run/$1.input >$run/$1.out 2>$run/$1.err 3>&- &
  echo $! >$run/$1.pid
  wait $!
  echo "done $1 $?" >&3
}
answer &
echo "ready 0 0" >&3
while read -r verb id rest; do
  case $verb in
  run)
    printf '%b' "$rest" >$run/$id.command
    [ -e $run/$id.input ] || : >$run/$id.input
    execute $id &
    ;;
  write)
    echo "go $id 0" >&3
    head -c $rest >$run/$id.input
    echo "wrote $id $?" >&3
    ;;
  kill) kill -9 -$(cat $run/$id.pid) ;;
  sync) echo "sync $id 0" >&3 ;;
  esac
done
`;

/** cttyhack makes the console a controlling terminal, so that Ctrl-C and job control work. */
const INITTAB = `::once:/etc/network-up
::once:/etc/acpi/power-button
::respawn:-/bin/cttyhack /bin/sh -l
::ctrlaltdel:/sbin/reboot
`;

const PROFILE = `export PS1='\\u@\\h:\\w\\$ '
export HOME=/root
export TERM=\${TERM:-linux}
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
cd
if [ ! -e /run/greeted ]; then
  : > /run/greeted
  # The host knows the size of the terminal; a serial line does not tell.
  [ -n "$LINES" ] && [ -n "$COLUMNS" ] && stty rows "$LINES" cols "$COLUMNS"
  unset LINES COLUMNS
  echo
  echo "Debian's Linux $(uname -r) on a PC that Ringfence simulates."
  echo "Type poweroff to end it; Ctrl-A X ends it from outside."
  echo
fi
`;

/** For where busybox cannot be asked: what a shell session most likely wants. */
const USUAL_APPLETS =
  "bin/ash bin/cat bin/chmod bin/chown bin/cp bin/cttyhack bin/date bin/dd bin/df bin/dmesg bin/echo bin/egrep " +
  "bin/false bin/fgrep bin/grep bin/gunzip bin/gzip bin/hostname bin/kill bin/ln bin/ls bin/mkdir bin/mknod " +
  "bin/mktemp sbin/modprobe bin/more bin/mount bin/mv bin/pidof bin/ping bin/ps bin/pwd bin/rm bin/rmdir bin/sed bin/sh " +
  "bin/sleep bin/stty bin/sync bin/tar bin/touch bin/true bin/umount bin/uname bin/vi bin/zcat sbin/halt " +
  "sbin/ifconfig sbin/init sbin/insmod sbin/ip sbin/udhcpc usr/bin/wget usr/bin/nc usr/bin/nslookup usr/sbin/httpd sbin/lsmod sbin/poweroff sbin/reboot sbin/route sbin/sysctl " +
  "usr/bin/[ usr/bin/awk usr/bin/basename usr/bin/clear usr/bin/cut usr/bin/dirname usr/bin/du usr/bin/env " +
  "usr/bin/expr usr/bin/find usr/bin/free usr/bin/head usr/bin/hexdump usr/bin/id usr/bin/killall usr/bin/less " +
  "usr/bin/md5sum usr/bin/od usr/bin/printf usr/bin/reset usr/bin/resize usr/bin/seq usr/bin/sha256sum " +
  "usr/bin/sort usr/bin/tail usr/bin/tee usr/bin/test usr/bin/time usr/bin/top usr/bin/tr usr/bin/tty " +
  "usr/bin/uniq usr/bin/uptime usr/bin/wc usr/bin/which usr/bin/whoami usr/bin/xargs usr/bin/yes";

/**
 * Paths of busybox's commands, such as "bin/ls". Asks busybox itself, where this host can run it.
 */
export function busyboxApplets(busyboxPath: string): string[] {
  const answer = spawnSync(busyboxPath, ["--list-full"], { encoding: "utf8" });
  const listed = answer.status === 0 ? answer.stdout.split("\n").filter((line) => line !== "") : [];
  return listed.length > 0 ? listed : USUAL_APPLETS.split(" ");
}

/**
 * The default guest's initial RAM disk: busybox under all its names, and a
 * shell on the console, with the kernel's modules for virtio. Not compressed, since unpacking would cost the guest
 * more than reading a few megabytes costs the host.
 */
export function defaultInitramfs(
  busybox: Uint8Array,
  applets: readonly string[],
  modulePaths: readonly string[] = [],
): Uint8Array<ArrayBuffer> {
  const folders = "bin dev etc proc root run sbin sys tmp usr usr/bin usr/sbin".split(" ");
  const text = (content: string) => new TextEncoder().encode(content);
  const links = applets.filter((applet) => applet !== "bin/busybox");
  const entries: CpioEntry[] = [
    ...folders.map(
      (path): CpioEntry => ({ kind: "folder", path, permissions: path === "tmp" ? 0o1777 : 0o755 }),
    ),
    // The kernel opens this one for /init before anything is mounted.
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "init", permissions: 0o755, bytes: text(INIT) },
    { kind: "file", path: "sbin/ringfence-agent", permissions: 0o755, bytes: text(AGENT) },
    { kind: "file", path: "etc/inittab", bytes: text(INITTAB) },
    { kind: "file", path: "etc/network-up", permissions: 0o755, bytes: text(NETWORK_UP) },
    { kind: "folder", path: "etc/acpi" },
    { kind: "file", path: "etc/acpi/power-button", permissions: 0o755, bytes: text(POWER_BUTTON) },
    { kind: "folder", path: "etc/acpi/PWRF" },
    {
      kind: "file",
      path: "etc/acpi/PWRF/00000080",
      permissions: 0o755,
      bytes: text("#!/bin/sh\nexec poweroff\n"),
    },
    { kind: "folder", path: "etc/udhcpc" },
    { kind: "file", path: "etc/udhcpc/default.script", permissions: 0o755, bytes: text(UDHCPC_SCRIPT) },
    {
      kind: "file",
      path: "etc/hosts",
      bytes: text("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ringfence\n"),
    },
    { kind: "file", path: "etc/profile", bytes: text(PROFILE) },
    { kind: "file", path: "etc/passwd", bytes: text("root:x:0:0:root:/root:/bin/sh\n") },
    { kind: "file", path: "etc/group", bytes: text("root:x:0:\n") },
    { kind: "file", path: "bin/busybox", permissions: 0o755, bytes: busybox },
    ...moduleEntries(modulePaths),
    ...links.map((path): CpioEntry => ({ kind: "link", path, target: "/bin/busybox" })),
  ];
  return writeCpio(entries);
}
