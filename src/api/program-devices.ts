import { HttpServices } from "../host/node/http-services.ts";
import { StreamServices } from "../host/node/stream-services.ts";
import { invariant } from "../layout/invariant.ts";
import type { SocketOptions, SocketStreams, VirtualDisk } from "./device-options.ts";
import type { DeviceRequest, DiskOperation, FromDevices, ServedPort, ToDevices } from "./device-request.ts";
import type { DeviceOptions } from "./options.ts";
import { planDisk, planNetwork, servedPorts, servicesOf } from "./plan-devices.ts";

/** In the program's thread: what a program itself has for the devices of one machine. */
export class ProgramDevices {
  readonly #disks: readonly (VirtualDisk | undefined)[];
  readonly #report: (message: string) => void;
  readonly #services = new HttpServices();
  readonly #streams = new StreamServices();
  #request: DeviceRequest | undefined;
  #receivers: ((frame: Uint8Array) => void)[] = [];
  #post: (message: ToDevices) => void = () => {};

  private constructor(options: DeviceOptions, report: (message: string) => void) {
    this.#disks = (options.disks ?? []).map((disk) => ("content" in disk ? disk.content : undefined));
    this.#report = report;
  }

  /**
   * Makes ready what the machine's thread will ask for. Must be closed when the machine has ended.
   *
   * @param report Told what has failed later.
   * @throws {VmError} `option-invalid`.
   */
  static async prepare(options: DeviceOptions, report: (message: string) => void): Promise<ProgramDevices> {
    const devices = new ProgramDevices(options, report);
    try {
      const disks = (options.disks ?? []).map(planDisk);
      const networks = [];
      for (const [index, network] of (options.networks ?? []).entries())
        networks.push(planNetwork(network, index, await devices.#openServices(network)));
      const sockets = options.sockets && (await devices.#openSockets(options.sockets));
      const { shares = [], balloon = false, guestAgent = false } = options;
      devices.#request = { shares, disks, networks, sockets, balloon, guestAgent };
      return devices;
    } catch (error) {
      devices.close();
      throw error;
    }
  }

  get request(): DeviceRequest {
    invariant(this.#request !== undefined, "devices are prepared before they are asked for");
    return this.#request;
  }

  /** The machine is there. */
  connect(options: DeviceOptions, post: (message: ToDevices) => void): void {
    this.#post = post;
    this.#receivers = (options.networks ?? []).map((network, device) =>
      network.kind === "program"
        ? network.connect((frame) => post({ kind: "frame", device, bytes: Uint8Array.from(frame) }))
        : () => {},
    );
  }

  receive(message: FromDevices): void {
    switch (message.kind) {
      case "disk":
        void this.#operate(message);
        break;
      case "frame":
        this.#post({ kind: "frameTaken", device: message.device, bytes: message.bytes.length });
        this.#receivers[message.device]?.(message.bytes);
        break;
      case "deviceError":
        this.#report(message.message);
        break;
    }
  }

  /** Connects the program with what `connect` leads to a path. */
  connected(connect: (path: string) => Promise<void>): Promise<SocketStreams> {
    return this.#streams.connected(connect);
  }

  close(): void {
    this.#services.close();
    this.#streams.close();
  }

  async #operate({
    device,
    id,
    operation,
  }: {
    readonly device: number;
    readonly id: number;
    readonly operation: DiskOperation;
  }): Promise<void> {
    try {
      const bytes = await perform(this.#disks[device], operation);
      this.#post({ kind: "diskDone", device, id, bytes });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#post({ kind: "diskFailed", device, id, reason });
    }
  }

  async #openSockets(options: SocketOptions): Promise<ServedPort[]> {
    const ports = [];
    for (const { port, to } of servedPorts(options)) {
      const report = (error: unknown) =>
        this.#report(`sockets ${port}: ${error instanceof Error ? error.message : String(error)}`);
      const path = typeof to === "function" ? await this.#streams.open(to, report) : to.path;
      ports.push({ port, path });
    }
    return ports;
  }

  async #openServices(network: NonNullable<DeviceOptions["networks"]>[number]) {
    const services = [];
    for (const { name, port, handler } of servicesOf(network)) {
      const report = (error: unknown) =>
        this.#report(`http ${name}: ${error instanceof Error ? error.message : String(error)}`);
      services.push({ name, port, to: { path: await this.#services.open(handler, report) } });
    }
    return services;
  }
}

async function perform(
  disk: VirtualDisk | undefined,
  operation: DiskOperation,
): Promise<Uint8Array | undefined> {
  switch (operation.kind) {
    case "read":
      // What the program gave stays its own.
      return Uint8Array.from((await disk?.read(operation.offset, operation.length)) ?? []);
    case "write":
      await disk?.write?.(operation.offset, operation.bytes);
      return undefined;
    case "flush":
      await disk?.flush?.();
      return undefined;
  }
}
