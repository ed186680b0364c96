import type { IpAddress } from "../ip/ip-address.ts";
import type { MacAddress } from "../link/mac-address.ts";

/** A connection of the guest, as a snapshot names it. */
export interface SavedConnection {
  readonly guest: IpAddress;
  readonly guestPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
}

export interface UserNetworkState {
  readonly stations: readonly { readonly address: IpAddress; readonly mac: MacAddress }[];
  readonly connections: readonly SavedConnection[];
}

/** More than a network ever has. */
const MOST = 1024;

export function isNetworkState(state: unknown): state is UserNetworkState {
  const { stations, connections } = (state ?? {}) as Partial<UserNetworkState>;
  const isList = (list: unknown) => Array.isArray(list) && list.length <= MOST;
  if (!isList(stations) || !isList(connections)) return false;
  const isStation = (station: UserNetworkState["stations"][number] | null) =>
    isAddress(station?.address) && station?.mac instanceof Uint8Array && station.mac.length === 6;
  const isConnection = (connection: SavedConnection | null) =>
    isAddress(connection?.guest) &&
    connection?.guest.length === connection?.remote?.length &&
    isAddress(connection?.remote) &&
    isPort(connection?.guestPort) &&
    isPort(connection?.remotePort);
  return stations!.every(isStation) && connections!.every(isConnection);
}

function isAddress(value: unknown): boolean {
  return value instanceof Uint8Array && (value.length === 4 || value.length === 16);
}

function isPort(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff;
}
