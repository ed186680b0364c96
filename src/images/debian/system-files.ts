import { type DebianOrigin, KEYRING, originForGuest, sourceLines } from "./debian-sources.ts";

const NETWORK = `[Match]
Type=ether

[Network]
DHCP=yes
`;

/**
 * A card on a switch has nobody who gives it an address, so one card that is configured is enough; without any card nothing is
 * waited for. Else every start would take two minutes longer and end degraded.
 */
const ONLINE = `[Unit]
ConditionPathExistsGlob=/sys/class/net/e*

[Service]
ExecStart=
ExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=60
`;

/** Whoever has the serial console has the process that simulates the machine, so no password stands before it. */
const AUTOMATIC_LOGIN = `[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200,57600,38400,9600 - $TERM
`;

const FILE_SYSTEMS = `# The machine mounts it; discarded blocks give their room in the image back.
/dev/vda / ext4 discard,errors=remount-ro 0 0
`;

/** Files of the system that belong to no package: what makes it this machine. */
export function systemFiles(hostName: string, origin: DebianOrigin): Record<string, string> {
  const { sources, acquireSettings } = originForGuest(origin);
  const settings = acquireSettings.map((line) => `${line}\n`).join("");
  return {
    "etc/hostname": `${hostName}\n`,
    "etc/hosts": `127.0.0.1 localhost\n127.0.1.1 ${hostName}\n::1 localhost ip6-localhost ip6-loopback\n`,
    "etc/fstab": FILE_SYSTEMS,
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/systemd/network/80-ethernet.network": NETWORK,
    "etc/systemd/system/serial-getty@ttyS0.service.d/automatic-login.conf": AUTOMATIC_LOGIN,
    "etc/systemd/system/systemd-networkd-wait-online.service.d/one-card.conf": ONLINE,
    "etc/apt/sources.list": `${sourceLines(sources, KEYRING).join("\n")}\n`,
    ...(settings === "" ? {} : { "etc/apt/apt.conf.d/90ringfence": settings }),
  };
}
