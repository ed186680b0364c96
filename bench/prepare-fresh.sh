#!/bin/bash
# Makes a guest whose work is code that runs for the first time: Debian's tcc compiles 45,000 lines of C, and a shell
# forks and executes 150 programs.
# Usage: prepare-fresh.sh DIR [KERNEL]     Leaves DIR/vmlinuz and DIR/initrd.gz for compare.py --peers qemu,ours DIR.
# Needs (Debian packages): busybox-static cpio gzip python3, and apt-get download, which installs nothing.
set -euo pipefail
mkdir -p "$1"; dir=$(cd "$1" && pwd)
if [ ! -f "$dir/vmlinuz" ]; then
  [ $# -ge 2 ] || { echo "prepare-fresh.sh: name a kernel, such as the vmlinuz that prepare.sh leaves" >&2; exit 2; }
  cp "$2" "$dir/vmlinuz"
fi
cd "$dir"
if [ ! -d unpacked ]; then
  mkdir -p packages
  (cd packages && apt-get -q download tcc libc6)
  for package in packages/*.deb; do dpkg -x "$package" unpacked; done
fi
rm -rf root; mkdir -p root/{bin,dev,proc,sys,tmp,lib64,lib/x86_64-linux-gnu}
cp /bin/busybox root/bin/busybox
for c in sh cat mount mkdir uname md5sum poweroff awk gzip grep head rm sed sort tail wc; do ln -s busybox root/bin/$c; done
cp "$(find unpacked -path '*bin/*tcc' -type f | head -1)" root/bin/tcc
for file in libc.so.6 libdl.so.2 libm.so.6 libpthread.so.0; do cp -L "$(find unpacked -name $file | head -1)" root/lib/x86_64-linux-gnu/; done
cp -L "$(find unpacked -name 'ld-linux-x86-64.so.2' | head -1)" root/lib64/
python3 - > root/work.c <<'X'
# 3,215 functions of 14 lines.
for n in range(3215):
    a, b, c = n * 7919 % 10007, n * 104729 % 9973, n % 13 + 2
    print(f"""struct pair{n} {{ int first; unsigned second; }};
static int table{n}[{c}] = {{ {a}, {b} }};
int function{n}(int x, int y)
{{
  struct pair{n} p = {{ x + {a}, y ^ {b}u }};
  int i, sum = 0;
  for (i = 0; i < {c}; i++) {{
    if (table{n}[i] > p.first) sum += p.second * {a};
    else sum -= (p.first << {n % 7}) | i;
    switch (sum & 3) {{ case 0: sum++; break; case 1: sum ^= {b}; break; default: p.first += i; }}
    table{n}[i] = sum;
  }}
  return sum % {a + 1} + p.first;
}}""")
X
cat > root/init <<'X'
#!/bin/sh
mount -t proc proc /proc; mount -t devtmpfs dev /dev 2>/dev/null
echo "BOOTED $(cat /proc/uptime) $(uname -rm)"
if grep -q churn /proc/cmdline; then exec /churn; fi
echo "S tcc 0"
tcc -c /work.c -o /tmp/work.o || exit 1
echo "R tcc 0 1 0 0 0 0 XX"
echo "S exec150 0"
i=0; while [ $i -lt 150 ]; do /bin/busybox true || exit 1; i=$((i+1)); done
echo "R exec150 0 1 0 0 0 0 $i"
echo ALLDONE
poweroff -f
X
cat > root/churn <<'X'
#!/bin/sh
# For ever: another piece of the source is compiled, linked with other numbers, run, and shell tools work on it.
n=0
while :; do
  n=$((n + 1))
  tail -n +$((n % 200 * 210 + 1)) /work.c | head -n 4200 | sed "s/sum = 0/sum = $n/" > /tmp/part.c
  tcc -c /tmp/part.c -o /tmp/part.o || exit 1
  { head -n 14 /tmp/part.c | sed "s/function[0-9]*/work/"
    echo "void _start(void) { int i, r = 0; for (i = 0; i < 300000; i++) r += work(i, $n);"
    echo '__asm__ volatile ("movl $60, %eax; xorl %edi, %edi; syscall"); }'; } > /tmp/program.c
  tcc -nostdlib -o /tmp/program /tmp/program.c && /tmp/program || exit 1
  grep -c "int function" /tmp/part.c > /tmp/count
  sort -r /tmp/part.c | awk '{ s += length($0) * NR } END { print s }' >> /tmp/count
  gzip -c /tmp/part.c | md5sum >> /tmp/count
  i=0; while [ $i -lt 20 ]; do wc -c < /tmp/part.o > /dev/null; i=$((i + 1)); done
  echo "ROUND $n $(md5sum < /tmp/count)"
done
X
chmod +x root/init root/churn
wc -l < root/work.c
(cd root && find . | cpio -o -H newc --quiet | gzip -9 > ../initrd.gz)
rm -rf root
