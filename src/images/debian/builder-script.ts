import { FAILED, STEP } from "../build-log.ts";
import { WORK_FOLDER } from "./root-archive.ts";

/**
 * The init of the machine that builds: /dev/vda becomes the root file system, /dev/vdb is the archive of it, and
 * on /dev/vdc an archive with kernel and initial RAM disk is left for the host.
 */
export const BUILDER_INIT = `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root LC_ALL=C
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
step() { echo "${STEP}$*"; }
fail() { echo "${FAILED}$*"; sync; poweroff -f; }
modprobe -q virtio_pci
for alias in $(cat /sys/bus/virtio/devices/*/modalias); do modprobe -q "$alias"; done

step unpack
mkdir -p /mnt /out
# The journal comes last: nothing here has to survive a crash.
/usr/sbin/mke2fs -q -F -t ext4 -L root -O ^has_journal /dev/vda || fail "there is no file system on the disk"
mount -t ext4 -o noatime /dev/vda /mnt || fail "the disk cannot be mounted"
tar -x -f /dev/vdb -C /mnt || fail "the disk is too small for the packages"
# The image's kernel lies beside its disk. It is taken before a package of --include can bring another.
version=$(ls /mnt/usr/lib/modules)
mv "/mnt/boot/vmlinuz-$version" /out/vmlinuz || fail "there is no kernel"
rm -rf /mnt/boot/*
mkdir -p /mnt/proc /mnt/sys /mnt/dev /mnt/run /mnt/tmp
chmod 1777 /mnt/tmp
mount -t proc proc /mnt/proc
mount -t sysfs sysfs /mnt/sys
mount -o bind /dev /mnt/dev
mount -t tmpfs tmpfs /mnt/run
mount -t tmpfs tmpfs /mnt/tmp
# Nothing is started here (Debian Policy, 9.3.3.2).
printf '#!/bin/sh\\nexit 101\\n' > /mnt/usr/sbin/policy-rc.d
chmod 755 /mnt/usr/sbin/policy-rc.d

step configure
cat > /mnt/${WORK_FOLDER}/configure <<'END'
set -e
export DPKG_MAINTSCRIPT_ARCH=amd64 DPKG_ADMINDIR=/var/lib/dpkg DPKG_MAINTSCRIPT_NAME=preinst
export DPKG_ROOT=
preinst() {
  echo "Preparing $1"
  DPKG_MAINTSCRIPT_PACKAGE=$1 /var/lib/dpkg/info/$2.preinst install </dev/null
}
# This one makes the users that others need.
grep '^base-passwd ' /${WORK_FOLDER}/preinst | while read -r package file; do preinst $package $file; done
grep -v '^base-passwd ' /${WORK_FOLDER}/preinst | while read -r package file; do preinst $package $file; done
unset DPKG_MAINTSCRIPT_ARCH DPKG_ADMINDIR DPKG_MAINTSCRIPT_NAME DPKG_ROOT
# What scripts of others use without saying so.
dpkg --force-depends --configure base-passwd base-files libc6 mawk
dpkg --configure -a
END
chroot /mnt /bin/sh /${WORK_FOLDER}/configure </dev/null || fail "a package of the base system could not be configured"
if [ -n "$(ls /mnt/${WORK_FOLDER}/*.deb 2>/dev/null)" ]; then
  step install
  chroot /mnt /bin/sh -c 'dpkg --force-unsafe-io --force-depends --unpack /${WORK_FOLDER}/*.deb && dpkg --configure -a' </dev/null ||
    fail "a package of --include could not be installed"
fi

step finish
chroot /mnt /bin/systemctl -q enable systemd-networkd systemd-resolved 2>&1
# They would take the machine for themselves right after its start.
chroot /mnt /bin/systemctl -q disable apt-daily.timer apt-daily-upgrade.timer 2>&1
ln -sf ../run/systemd/resolve/stub-resolv.conf /mnt/etc/resolv.conf
: > /mnt/etc/machine-id
rm -f /mnt/var/lib/dbus/machine-id
chroot /mnt /usr/sbin/depmod "$version" || fail "the kernel's modules have no index"

step initrd
mkdir -p /initrd/bin /initrd/modules /initrd/proc /initrd/sys /initrd/dev /initrd/root
cp /bin/busybox /initrd/bin/
cp /disk-init /initrd/init
chmod 755 /initrd/init
number=100
chroot /mnt /usr/sbin/modprobe -a -S "$version" --show-depends virtio_pci virtio_blk ext4 > /modules || fail "a module is missing"
while read -r kind file rest; do
  [ "$kind" = insmod ] || continue
  name=\${file##*/}
  # Several need the same ones: the first place is the right one.
  ls /initrd/modules | grep -q -- "-\${name%%.ko*}.ko$" && continue
  number=$((number + 1))
  to=/initrd/modules/$number-\${name%%.ko*}.ko
  case "$file" in
  *.xz) xzcat < "/mnt$file" > $to ;;
  *.gz) zcat < "/mnt$file" > $to ;;
  *.zst) chroot /mnt /usr/bin/zstdcat "$file" > $to ;;
  *) cp "/mnt$file" $to ;;
  esac || fail "module $file cannot be read"
done < /modules
(cd /initrd && find . | cpio -o -H newc) > /out/initrd 2>/dev/null || fail "there is no initial RAM disk"
(cd /out && tar -c -f /dev/vdc vmlinuz initrd) || fail "kernel and initial RAM disk could not be handed over"

step close
rm -rf /mnt/${WORK_FOLDER} /mnt/usr/sbin/policy-rc.d /mnt/var/cache/apt/archives/*.deb
umount /mnt/tmp /mnt/run /mnt/dev /mnt/sys /mnt/proc
fstrim /mnt
umount /mnt || fail "the disk is in use"
/usr/sbin/tune2fs -j /dev/vda >/dev/null || fail "the file system gets no journal"
sync
step done
poweroff -f
`;

/** The init of the image's initial RAM disk: finds the disk and starts the system on it. */
export const DISK_INIT = `#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
# Of modules that do the same in other ways, some are for other processors.
for module in /modules/*.ko; do [ -e "$module" ] && insmod "$module" 2>/dev/null; done
root=/dev/vda
for word in $(cat /proc/cmdline); do
  case "$word" in root=*) root=\${word#root=} ;; esac
done
tries=0
while ! mount -o rw "$root" /root 2>/dev/null; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ]; then
    echo "no file system could be mounted from $root; here is a shell"
    exec sh
  fi
  sleep 0.1
done
umount /proc /sys
mount -o move /dev /root/dev
exec switch_root /root /sbin/init
`;
