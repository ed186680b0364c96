import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type CpioEntry, writeCpio } from "../src/host/cpio.ts";
import { prepareDefaultGuest } from "../src/host/node/default-guest.ts";
import type { GuestCache } from "../src/host/node/guest-cache.ts";
import { PackageClient, type Progress } from "../src/host/node/package-client.ts";

const RECIPE = "agent-guest-4";
const PACKAGES = [
  ...["qemu-guest-agent", "libc6", "libglib2.0-0", "libpcre2-8-0", "libnuma1", "libudev1", "liburing2"],
];
const PATTERNS = ["./usr/sbin/qemu-ga", "*/x86_64-linux-gnu/*.so*", "./lib64/*"];
/** Of what the packages hold, what the agent loads. */
const NEEDED =
  /(qemu-ga|ld-linux-x86-64|lib(c|m|resolv|glib-2\.0|gmodule-2\.0|pcre2-8|numa|udev|uring))(\.so.*)?$/;

/** As the default guest's, and Debian's agent at its port; udev would make the link. */
const INITTAB = `::once:/etc/network-up
::once:/etc/acpi/power-button
::respawn:/sbin/run-agent
::respawn:-/bin/cttyhack /bin/sh -l
::ctrlaltdel:/sbin/reboot
`;
const RUN_AGENT = `#!/bin/sh
port=$(grep -l org.qemu.guest_agent.0 /sys/class/virtio-ports/*/name) || exec sleep 1000000
exec /usr/sbin/qemu-ga -p /dev/$(basename $(dirname $port)) -t /run
`;
/** What the agent calls for guest-shutdown; busybox has none. */
const SHUTDOWN = `#!/bin/sh
poweroff -d 1 >/dev/null 2>&1 &
`;

/** The default guest with Debian's qemu-guest-agent in its initial RAM disk. */
export async function prepareAgentGuest(
  cache: GuestCache,
  progress: Progress,
): Promise<{ kernelPath: string; initrdPath: string }> {
  const { kernelPath, initrdPath } = await prepareDefaultGuest(progress, cache);
  const base = readFileSync(initrdPath);
  const folder = await cache.ensure("qemu-guest-agent-initramfs-amd64", RECIPE, async (staging) => {
    const client = new PackageClient(path.join(cache.folder, "apt"), progress);
    const root = path.join(staging, "root");
    mkdirSync(root);
    for (const name of PACKAGES) {
      const work = path.join(staging, "work");
      mkdirSync(work);
      // A package has some of the patterns only; tar complains of the others.
      await client.unpack(await client.download(name, work), root, PATTERNS).catch(() => {});
      rmSync(work, { recursive: true });
    }
    const archive = writeCpio(entriesOf(root));
    rmSync(root, { recursive: true });
    writeFileSync(path.join(staging, "agent.cpio"), archive);
  });
  // The kernel unpacks archives one after the other.
  const whole = path.join(folder, "..", "qemu-guest-agent-initrd.cpio");
  writeFileSync(whole, Buffer.concat([base, readFileSync(path.join(folder, "agent.cpio"))]));
  return { kernelPath, initrdPath: whole };
}

function entriesOf(root: string): CpioEntry[] {
  const folders = new Set<string>();
  const entries: CpioEntry[] = [];
  for (const member of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const file = path.join(member.parentPath, member.name);
    const inside = path.relative(root, file).replace(/^usr\/lib/, "lib");
    if (member.isDirectory() || !NEEDED.test(inside)) continue;
    for (let at = path.dirname(inside); at !== "."; at = path.dirname(at)) folders.add(at);
    if (member.isSymbolicLink()) entries.push({ kind: "link", path: inside, target: readlinkSync(file) });
    else
      entries.push({
        kind: "file",
        path: inside,
        permissions: statSync(file).mode & 0o777,
        bytes: readFileSync(file),
      });
  }
  const text = (content: string) => new TextEncoder().encode(content);
  return [
    ...[...folders].sort().map((path): CpioEntry => ({ kind: "folder", path })),
    ...entries,
    { kind: "file", path: "etc/inittab", bytes: text(INITTAB) },
    { kind: "file", path: "sbin/run-agent", permissions: 0o755, bytes: text(RUN_AGENT) },
    { kind: "file", path: "sbin/shutdown", permissions: 0o755, bytes: text(SHUTDOWN) },
  ];
}
