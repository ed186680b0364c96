import type { EthernetPort } from "../host/ethernet-port.ts";
import { CaptureFile } from "../host/node/capture-file.ts";
import { chooseMac, openForward, openSwitch, openUserNetwork } from "../host/node/guest-network.ts";
import { HostClock } from "../host/node/host-clock.ts";
import { CapturingPort } from "../network/capture/capturing-port.ts";
import { RateLimitedPort } from "../network/link/rate-limited-port.ts";
import { type PortForward, UserNetwork } from "../network/nat/user-network.ts";
import type { SharedSwitch } from "../network/switch/shared-switch.ts";
import type { GuestNetwork } from "./guest-devices.ts";
import type { NetworkOption } from "./network-option.ts";
import { UsageError } from "./usage-error.ts";

/** All networks of a machine. */
export interface GuestNetworks {
  readonly networks: readonly GuestNetwork[];
  close(): void;
}

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
      networks.push({ port, mac: option.mac ?? chooseMac(option.kind, index) });
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
  return option.kind === "switch" ? openSwitch(option, clock) : openUserNetwork(option, clock);
}

async function openForwards(network: UserNetwork, forwards: readonly PortForward[]): Promise<void> {
  for (const forward of forwards) {
    const failure = await openForward(network, forward);
    if (failure !== undefined) throw new UsageError(`--forward: ${failure}`);
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
