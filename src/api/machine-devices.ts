import type { BlockDevice } from "../host/block-device.ts";
import type { EthernetPort } from "../host/ethernet-port.ts";
import { layered, openGuestDisk } from "../host/node/guest-disk.ts";
import { openForward, openSwitch, openUserNetwork } from "../host/node/guest-network.ts";
import { HostClock } from "../host/node/host-clock.ts";
import { nodeNetwork } from "../host/node/network-sockets.ts";
import { VmError } from "../layout/vm-error.ts";
import type { MachineOptions } from "../machine/machine-options.ts";
import { RateLimitedPort } from "../network/link/rate-limited-port.ts";
import { plainFrames } from "../network/link/segmentation.ts";
import { BalloonControl } from "../virtio/balloon/balloon-control.ts";
import { VirtioBalloon } from "../virtio/balloon/virtio-balloon.ts";
import { VirtioBlk } from "../virtio/blk/virtio-blk.ts";
import type { VirtioDevice } from "../virtio/device.ts";
import { VirtioNet } from "../virtio/net/virtio-net.ts";
import { createShareDevice, type GuestShare } from "../virtio/sharing/share.ts";
import { HostSockets } from "../virtio/vsock/host-sockets.ts";
import { connectGuest, serveGuest } from "../virtio/vsock/joined-sockets.ts";
import { VirtioVsock } from "../virtio/vsock/virtio-vsock.ts";
import type { DeviceRequest, DiskRequest, FromDevices, NetworkRequest, ToDevices } from "./device-request.ts";
import { openShares } from "./open-shares.ts";
import type { BalloonState } from "./options.ts";
import { ProgramCable } from "./program-cable.ts";
import { ProgramDisk } from "./program-disk.ts";

type DeviceHost = Parameters<NonNullable<MachineOptions["createDevices"]>>[0];

/** So long a guest may take to say how its memory is used. */
const STATISTICS_MS = 2000;

interface Surroundings {
  post(message: FromDevices, moved?: readonly Uint8Array<ArrayBuffer>[]): void;
  /** Something has come for the guest. */
  wake(): void;
}

/** In the machine's thread: the shared folders, disks and networks of a machine, open. */
export class MachineDevices {
  readonly #surroundings: Surroundings;
  readonly #programDisks = new Map<number, ProgramDisk>();
  readonly #programCables = new Map<number, ProgramCable>();
  readonly #disks: { readonly disk: BlockDevice; readonly serial: string }[] = [];
  readonly #networks: { readonly port: EthernetPort; readonly mac: Uint8Array }[] = [];
  readonly #closers: (() => void)[] = [];
  readonly #balloon: BalloonControl | undefined;
  readonly #sockets: HostSockets | undefined;
  #shares: readonly GuestShare[] = [];

  private constructor(request: DeviceRequest, surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.#balloon = request.balloon ? new BalloonControl() : undefined;
    this.#sockets = request.sockets && new HostSockets();
    for (const { port, path } of request.sockets ?? [])
      if (this.#sockets !== undefined) serveGuest(this.#sockets, nodeNetwork, port, path);
  }

  /**
   * Opens what `request` asks for; when one fails, those before it are closed again.
   *
   * @throws {VmError} `file-*`, `disk-image-invalid`, `option-invalid`.
   */
  static async open(request: DeviceRequest, surroundings: Surroundings): Promise<MachineDevices> {
    const devices = new MachineDevices(request, surroundings);
    try {
      devices.#shares = openShares(request.shares);
      for (const disk of request.disks) await devices.#openDisk(disk);
      for (const network of request.networks) await devices.#openNetwork(network);
      return devices;
    } catch (error) {
      await devices.close();
      throw error;
    }
  }

  get shareTags(): readonly string[] {
    return this.#shares.map(({ tag }) => tag);
  }

  /** The devices, for a machine or after its reset. */
  create({ operations }: DeviceHost): VirtioDevice[] {
    const onError = (error: unknown) => {
      const message = `disk: ${error instanceof Error ? error.message : String(error)}`;
      this.#surroundings.post({ kind: "deviceError", message });
    };
    const onReceive = () => this.#surroundings.wake();
    return [
      ...this.#disks.map(({ disk, serial }) => new VirtioBlk({ disk, serial, operations, onError })),
      ...this.#networks.map(({ port, mac }) => new VirtioNet({ port, mac, plainFrames, onReceive })),
      ...this.#shares.map((share) => createShareDevice(share, operations)),
      ...(this.#sockets === undefined ? [] : [new VirtioVsock({ sockets: this.#sockets, wake: onReceive })]),
      ...(this.#balloon === undefined ? [] : [new VirtioBalloon(this.#balloon, onReceive)]),
    ];
  }

  /**
   * Connects a port of the guest with the Unix-domain socket at `path`.
   * @throws {VmError} `option-invalid`, `connection-failed`.
   */
  async connectSocket(port: number, path: string): Promise<void> {
    if (this.#sockets === undefined) throw lacking("sockets");
    const failure = await connectGuest(this.#sockets, nodeNetwork, port, path);
    if (failure !== undefined) throw new VmError({ code: "connection-failed", port, reason: failure });
  }

  /** The balloon, with another target if one is given. @throws {VmError} `option-invalid`. */
  async balloon(targetBytes: number | undefined): Promise<BalloonState> {
    const balloon = this.#balloon;
    if (balloon === undefined) throw lacking("balloon");
    if (targetBytes !== undefined) balloon.setTarget(targetBytes);
    const patience = new Promise<undefined>((resolve) =>
      setTimeout(resolve, STATISTICS_MS, undefined).unref(),
    );
    const statistics = await Promise.race([balloon.statistics(), patience]);
    const { inflatedBytes, reportedBytes } = balloon;
    return { targetBytes: balloon.targetBytes, inflatedBytes, reportedBytes, statistics };
  }

  receive(message: ToDevices): void {
    const { device } = message;
    switch (message.kind) {
      case "diskDone":
        this.#programDisks.get(device)?.done(message.id, message.bytes);
        break;
      case "diskFailed":
        this.#programDisks.get(device)?.failed(message.id, message.reason);
        break;
      case "frame":
        this.#programCables.get(device)?.onFrame({ bytes: message.bytes });
        break;
      case "frameTaken":
        this.#programCables.get(device)?.taken(message.bytes);
        break;
    }
  }

  /** Flushes disks and closes connections. */
  async close(): Promise<void> {
    for (const closer of this.#closers.splice(0)) closer();
    for (const { disk } of this.#disks.splice(0)) await disk.close();
  }

  async #openDisk({ from, readOnly, snapshot, serial }: DiskRequest): Promise<void> {
    if ("path" in from) {
      this.#disks.push({ disk: await openGuestDisk({ ...from, readOnly, snapshot }), serial });
      return;
    }
    const device = this.#disks.length;
    const below = new ProgramDisk(from.sizeBytes, readOnly || snapshot, (id, operation) =>
      this.#surroundings.post(
        { kind: "disk", device, id, operation },
        operation.kind === "write" ? [operation.bytes] : [],
      ),
    );
    this.#programDisks.set(device, below);
    const identity = () => `${from.sizeBytes} bytes of a program`;
    this.#disks.push({ disk: await layered(below, { readOnly, snapshot, identity }), serial });
  }

  async #openNetwork({ plan, mac, bytesPerSecond }: NetworkRequest): Promise<void> {
    const clock = new HostClock();
    const port = await this.#openPort(plan, clock);
    this.#networks.push({
      port: bytesPerSecond === undefined ? port : new RateLimitedPort(port, clock, bytesPerSecond),
      mac,
    });
  }

  async #openPort(plan: NetworkRequest["plan"], clock: HostClock): Promise<EthernetPort> {
    if (plan.kind === "program") {
      const device = this.#networks.length;
      const cable = new ProgramCable((bytes) =>
        this.#surroundings.post({ kind: "frame", device, bytes }, [bytes]),
      );
      this.#programCables.set(device, cable);
      return cable;
    }
    if (plan.kind === "switch") {
      const port = openSwitch(plan, clock);
      this.#closers.push(() => port.close());
      return port;
    }
    const network = openUserNetwork(plan, clock);
    this.#closers.push(() => network.close());
    for (const forward of plan.forwards) {
      const failure = await openForward(network, forward);
      if (failure === undefined) continue;
      const value = `${forward.host.address}:${forward.host.port}`;
      const expected = `a port that can be opened (${failure})`;
      throw new VmError({ code: "option-invalid", option: "networks.forwards", value, expected });
    }
    return network;
  }
}

function lacking(option: string): VmError {
  const expected = "a machine that was made with it";
  return new VmError({ code: "option-invalid", option, value: "undefined", expected });
}
