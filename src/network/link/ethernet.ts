export const ETHERNET_HEADER_BYTES = 14;
/** The longest payload of a frame on the wire. */
export const MTU = 1500;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
