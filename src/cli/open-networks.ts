import { getRandomValues } from "node:crypto";
import type { EthernetPort } from "../host/ethernet-port.ts";
import { CaptureFile } from "../host/node/capture-file.ts";
import { HostClock } from "../host/node/host-clock.ts";
import { nodeNetwork } from "../host/node/network-sockets.ts";
import { CapturingPort } from "../network/capture/capturing-port.ts";
import { RateLimitedPort } from "../network/link/rate-limited-port.ts";
import { type PortForward, UserNetwork } from "../network/nat/user-network.ts";
import { SharedSwitch } from "../network/switch/shared-switch.ts";
import type { GuestNetwork } from "./guest-devices.ts";
import type { NetworkOption } from "./network-option.ts";
import { UsageError } from "./usage-error.ts";

/** All networks of a machine. */
export interface GuestNetworks {
  readonly networks: readonly GuestNetwork[];
  close(): void;
}

/** The first card on a user network has the address that QEMU's has. */
const FIRST_MAC = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);

/** Opens what `--network`, `--forward` and `--capture` ask for. */
export async function openNetworks(
  options: readonly NetworkOption[],
  forwards: readonly PortForward[],
  capturePath: string | undefined,
  report: (line: string) => void,
): Promise<GuestNetworks> {
  checkTogether(options, forwards, capturePath);
  const clock = new HostClock();
  const closers: (() => void)[] = [];
  const networks: GuestNetwork[] = [];
  const close = () => {
    for (const closer of closers) closer();
  };
  try {
    for (const [index, option] of options.entries()) {
      const network = openNetwork(option, clock);
      closers.push(() => network.close());
      if (network instanceof UserNetwork && index === firstUser(options))
        await openForwards(network, forwards);
      let port: EthernetPort = network;
      if (option.bytesPerSecond !== undefined) port = new RateLimitedPort(port, clock, option.bytesPerSecond);
      if (capturePath !== undefined) port = capture(port, capturePath, closers, report);
      networks.push({ port, mac: option.mac ?? chooseMac(option, index) });
    }
    return { networks, close };
  } catch (error) {
    close();
    throw error;
  }
}

function checkTogether(
  options: readonly NetworkOption[],
  forwards: readonly PortForward[],
  capturePath: string | undefined,
): void {
  if (forwards.length > 0 && firstUser(options) < 0) throw new UsageError("--forward needs --network user");
  if (capturePath === undefined || options.length === 1) return;
  throw new UsageError(
    options.length === 0 ? "--capture needs a --network" : "--capture can record one --network only",
  );
}

function firstUser(options: readonly NetworkOption[]): number {
  return options.findIndex(({ kind }) => kind === "user");
}

function openNetwork(option: NetworkOption, clock: HostClock): UserNetwork | SharedSwitch {
  if (option.kind === "switch") return new SharedSwitch(nodeNetwork, clock, option.at);
  const { allow, deny, ipv6, nameServers } = option;
  const random = () => getRandomValues(new Uint32Array(1))[0] ?? 0;
  const own = nameServers.length === 0 ? undefined : { nameServers };
  return new UserNetwork({ clock, host: nodeNetwork, random, allow, deny, ipv6, ...own });
}

/** A port that is taken is found out before the guest starts. */
async function openForwards(network: UserNetwork, forwards: readonly PortForward[]): Promise<void> {
  for (const forward of forwards) {
    const failure = await new Promise<string | undefined>((resolve) => {
      network.forward(forward, { opened: () => resolve(undefined), failed: resolve });
    });
    if (failure === undefined) continue;
    const { protocol, host } = forward;
    throw new UsageError(`--forward: ${protocol} port ${host.port} of ${host.address} ${failure}`);
  }
}

function capture(
  port: EthernetPort,
  path: string,
  closers: (() => void)[],
  report: (line: string) => void,
): EthernetPort {
  const file = new CaptureFile(path, (reason) => report(`${path}: the capture ends here: ${reason}`));
  closers.push(() => file.close());
  return new CapturingPort(
    port,
    (bytes) => file.write(bytes),
    () => BigInt(Date.now()) * 1_000_000n,
  );
}

/** On a switch no two cards may have one address, and nobody knows those of the others. */
function chooseMac(option: NetworkOption, index: number): Uint8Array {
  const mac = FIRST_MAC.slice();
  if (option.kind === "switch") getRandomValues(mac.subarray(3));
  else mac[5]! += index;
  return mac;
}
