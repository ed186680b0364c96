import { getRandomValues } from "node:crypto";
import { tmpdir, userInfo } from "node:os";
import path from "node:path";
import process from "node:process";
import type { Clock } from "../../bus/clock.ts";
import type { AccessRule } from "../../network/nat/access-rules.ts";
import type { Service } from "../../network/nat/services.ts";
import { type PortForward, UserNetwork } from "../../network/nat/user-network.ts";
import { SharedSwitch } from "../../network/switch/shared-switch.ts";
import type { HostEndpoint, StreamAddress } from "../network.ts";
import { nodeNetwork } from "./network-sockets.ts";

export interface UserNetworkPlan {
  readonly kind: "user";
  readonly allow: readonly AccessRule[];
  readonly deny: readonly AccessRule[];
  /** Empty: the host's own. */
  readonly nameServers: readonly HostEndpoint[];
  readonly ipv6: boolean;
  readonly services?: readonly Service[];
}

export interface SwitchPlan {
  readonly kind: "switch";
  readonly at: StreamAddress;
}

/** The first card on a user network has the address that QEMU's has. */
const FIRST_MAC = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);

export function openUserNetwork(plan: UserNetworkPlan, clock: Clock): UserNetwork {
  const { allow, deny, ipv6, services } = plan;
  const random = () => getRandomValues(new Uint32Array(1))[0] ?? 0;
  const nameServers = plan.nameServers.length === 0 ? undefined : plan.nameServers;
  return new UserNetwork({
    ...{ clock, host: nodeNetwork, random, allow, deny, ipv6 },
    ...(services && { services }),
    ...(nameServers && { nameServers }),
  });
}

export function openSwitch({ at }: SwitchPlan, clock: Clock): SharedSwitch {
  return new SharedSwitch(nodeNetwork, clock, at);
}

/** A port that is taken is found out before the guest starts. Returns what is wrong with it, if anything. */
export function openForward(network: UserNetwork, forward: PortForward): Promise<string | undefined> {
  return new Promise((resolve) => {
    const { protocol, host } = forward;
    network.forward(forward, {
      opened: () => resolve(undefined),
      failed: (reason) => resolve(`${protocol} port ${host.port} of ${host.address} ${reason}`),
    });
  });
}

/** Where machines of this user find the switch of a name: letters, digits, `_`, `.` and `-`; undefined for others. */
export function switchAddress(name: string): StreamAddress | undefined {
  if (!/^[\w.-]{1,60}$/.test(name)) return undefined;
  const folder = process.env["XDG_RUNTIME_DIR"] ?? tmpdir();
  return { path: path.join(folder, `ringfence-${userInfo().uid}-switch-${name}`) };
}

/** The address of a card by its number. On a switch no two cards may have one, and nobody knows those of the others. */
export function chooseMac(kind: "user" | "switch" | "program", index: number): Uint8Array {
  const mac = FIRST_MAC.slice();
  if (kind === "switch") getRandomValues(mac.subarray(3));
  else mac[5]! += index;
  return mac;
}
