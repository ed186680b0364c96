// The one memory range of a virtio PCI function (BAR 0):
//
//   0x0000  common configuration
//   0x1000  interrupt status
//   0x2000  the device's own configuration
//   0x3000  notifications, four bytes a queue
//   0x4000  MSI-X table and pending bits
export const BAR = 0;
export const BAR_BYTES = 0x8000;
export const COMMON = 0x0000;
export const ISR = 0x1000;
export const DEVICE = 0x2000;
export const NOTIFY = 0x3000;
export const MSI_X = 0x4000;
export const AREA_BYTES = 0x1000;
export const NOTIFY_MULTIPLIER = 4;

// virtio 1.2, "Virtio Structure PCI Capabilities": cfg_type.
export const CAP_COMMON = 1;
export const CAP_NOTIFY = 2;
export const CAP_ISR = 3;
export const CAP_DEVICE = 4;
export const CAP_PCI = 5;

// "Common configuration structure layout": offsets in struct virtio_pci_common_cfg.
export const DEVICE_FEATURE_SELECT = 0;
export const DEVICE_FEATURE = 4;
export const DRIVER_FEATURE_SELECT = 8;
export const DRIVER_FEATURE = 12;
export const CONFIG_VECTOR = 16;
export const NUM_QUEUES = 18;
export const DEVICE_STATUS = 20;
export const CONFIG_GENERATION = 21;
export const QUEUE_SELECT = 22;
export const QUEUE_SIZE = 24;
export const QUEUE_VECTOR = 26;
export const QUEUE_ENABLE = 28;
export const QUEUE_NOTIFY_OFFSET = 30;
export const QUEUE_DESCRIPTORS = 32;
export const QUEUE_DRIVER = 40;
export const QUEUE_DEVICE = 48;

// "Device Status Field".
export const STATUS_DRIVER_OK = 4;
export const STATUS_FEATURES_OK = 8;
export const STATUS_NEEDS_RESET = 64;

// "Reserved Feature Bits".
export const F_INDIRECT_DESC = 1n << 28n;
export const F_EVENT_IDX = 1n << 29n;
export const F_VERSION_1 = 1n << 32n;

// "ISR status capability".
export const ISR_QUEUE = 1;
export const ISR_CONFIG = 2;
