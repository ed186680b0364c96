import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT, runGuest } from "./console.ts";

const guest = await fetchGuest("default");
const standard = await fetchGuest("standard-guest");
const hasCompiler = spawnSync("gcc", ["--version"]).status === 0;
const missing = hasCompiler ? undefined : "there is no gcc";
const obstacle = !guest.available ? guest.reason : standard.available ? missing : standard.reason;
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;
const guestTest = test.skipIf(obstacle !== undefined);
const TIMEOUT_MS = 400_000;
const FILES = 400;

/** Two processes and their locks: of fcntl and of flock, refused, waited for, and given up by a signal. */
const LOCKS = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
static struct flock range(int type, int start, int length) {
  struct flock f = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
  return f;
}
static void nothing(int signal) { (void)signal; }
int main(void) {
  setvbuf(stdout, 0, _IONBF, 0);
  int fd = open("lock", O_RDWR | O_CREAT, 0644), other = open("lock2", O_RDWR | O_CREAT, 0644);
  struct flock f = range(F_WRLCK, 0, 10);
  if (fcntl(fd, F_SETLK, &f)) perror("lock");
  if (flock(other, LOCK_EX)) perror("flock");
  int told[2];
  pipe(told);
  if (fork() == 0) {
    close(other); // or the parent's lock would be the child's too
    struct sigaction action = { .sa_handler = nothing };
    sigaction(SIGALRM, &action, 0);
    f = range(F_RDLCK, 5, 1);
    fcntl(fd, F_GETLK, &f);
    printf("held by parent: %d, %d bytes\\n", f.l_pid == getppid() || f.l_pid == 0, (int)f.l_len);
    f = range(F_WRLCK, 9, 5);
    printf("range: %s\\n", fcntl(fd, F_SETLK, &f) ? errno == EAGAIN ? "taken" : "wrong" : "free");
    f = range(F_WRLCK, 10, 5);
    printf("behind it: %s\\n", fcntl(fd, F_SETLK, &f) ? "taken" : "free");
    int mine = open("lock2", O_RDWR);
    printf("file: %s\\n", flock(mine, LOCK_EX | LOCK_NB) ? errno == EWOULDBLOCK ? "taken" : "wrong" : "free");
    f = range(F_WRLCK, 0, 1);
    alarm(1);
    printf("waiting: %s\\n", fcntl(fd, F_SETLKW, &f) ? errno == EINTR ? "interrupted" : "wrong" : "granted");
    write(told[1], "x", 1);
    printf("again: %s\\n", fcntl(fd, F_SETLKW, &f) ? "refused" : "granted");
    printf("file: %s\\n", flock(mine, LOCK_EX) ? "refused" : "granted");
    return 0;
  }
  char byte;
  read(told[0], &byte, 1);
  sleep(1);
  close(fd);
  close(other);
  wait(0);
  return 0;
}
`;
const LOCKS_OUTPUT = [
  ...["held by parent: 1, 10 bytes", "range: taken", "behind it: free", "file: taken"],
  ...["waiting: interrupted", "again: granted", "file: granted"],
];

/** What the guest does in the shared folder. Each line of output is compared. */
const SCRIPT = `
mkdir a a/b && echo one > a/b/file && echo two > a/other && mv a/b/file a/moved && mv a/other a/moved && cat a/moved
ls a; rmdir a 2>/dev/null || echo not empty
ln a/moved hard && stat -c %h hard && echo three >> hard && cat a/moved
ln -s a/moved soft && readlink soft && cat soft
ln -s /proc/sys/kernel/hostname outside && cat outside
cat leads-out/secret 2>/dev/null || echo no secret
touch mode && chmod 640 mode && stat -c '%a %F' mode && chmod 1777 a/b && stat -c %a a/b
touch -d '2001-02-03 04:05:06' mode && stat -c %y mode | cut -c 1-19
dd if=/dev/zero of=sparse bs=1 count=1 seek=1000000 2>/dev/null && stat -c %s sparse && truncate -s 5 sparse && stat -c %s sparse
exec 3<>open && rm open && echo gone >&3 && ls open 2>/dev/null || echo unlinked
./locks
mkdir many && i=0 && while [ $i -lt ${FILES} ]; do echo $i > many/$i; i=$((i+1)); done
find many -type f | wc -l; ls many | sort -n | tail -1; cat many/* | sort -n | tail -1
cp -a tree copy && diff -r tree copy && echo same
tar cf tree.tar tree && mkdir unpacked && tar xf tree.tar -C unpacked && diff -r tree unpacked/tree && echo same again
rm -r many && ls -d many 2>/dev/null || echo removed
sha256sum from-host | cut -d ' ' -f 1
cp from-host from-guest && sync && echo 3 > /proc/sys/vm/drop_caches && cmp from-host from-guest && echo equal
df -k . | tail -1 | grep -q '[0-9]' && echo df
`;

function expectedOutput(hash: string): string[] {
  return [
    ...["two", "b", "moved", "not empty", "2", "two", "three", "a/moved", "two", "three", "ringfence"],
    ...["no secret", "640 regular empty file", "1777", "2001-02-03 04:05:06", "1000001", "5", "unlinked"],
    ...[...LOCKS_OUTPUT, `${FILES}`, `${FILES - 1}`, `${FILES - 1}`, "same", "same again", "removed"],
    ...[hash, "equal", "df"],
  ];
}

/** A folder with a tree, a large file, and a link that leads out of it. */
function prepare(base: string): { share: string; hash: string } {
  const share = path.join(base, "share");
  for (let folder = 0; folder < 5; folder++) {
    fs.mkdirSync(path.join(share, `tree/${folder}/deep`), { recursive: true });
    for (let file = 0; file < 20; file++)
      fs.writeFileSync(path.join(share, `tree/${folder}/deep/${file}`), randomBytes(file * 500));
  }
  const large = randomBytes(12_345_678);
  fs.writeFileSync(path.join(share, "from-host"), large);
  fs.writeFileSync(path.join(base, "secret"), "secret\n");
  fs.symlinkSync(base, path.join(share, "leads-out"));
  fs.writeFileSync(path.join(share, "script"), SCRIPT);
  const compiler = ["-static", "-w", "-x", "c", "-", "-o", path.join(share, "locks")];
  if (spawnSync("gcc", compiler, { input: LOCKS }).status !== 0) throw new Error("gcc does not work");
  return { share, hash: createHash("sha256").update(large).digest("hex") };
}

async function inFolder(use: (base: string) => Promise<void>): Promise<void> {
  const base = fs.mkdtempSync(path.join(tmpdir(), "ringfence-sharing-"));
  try {
    await use(base);
  } finally {
    fs.rmSync(base, { recursive: true, force: true });
  }
}

const MOUNTS = {
  virtiofs: "mount -t virtiofs work /mnt",
  "9p": "mount -t 9p -o trans=virtio,version=9p2000.L work /mnt",
};

guestTest.each(["virtiofs", "9p"] as const)(
  `%s: Linux works in a shared folder as in any other, and the host finds what it did${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async (protocol) => {
    if (!standard.available) return;
    await inFolder(async (base) => {
      const { share, hash } = prepare(base);
      const kernel = ["--kernel", standard.kernelPath, "--initrd", standard.initrdPath ?? ""];
      const options = [...kernel, "--append", "console=ttyS0 quiet", "--network", "none"];
      const lines = [
        `mkdir -p /mnt && ${MOUNTS[protocol]} && cd /mnt && sh script > /tmp/out 2>&1; cat /tmp/out; cd`,
        "umount /mnt && dmesg -r | grep -c '^<[0-3]>'",
        "poweroff",
      ];
      const steps = lines.map((type) => ({ after: PROMPT, type }));
      const shared = ["--share", `${share},tag=work,protocol=${protocol}`];
      const { status, output } = await runGuest([...options, ...shared], steps, TIMEOUT_MS);
      const printed =
        output.replaceAll("\r", "").split("cat /tmp/out; cd\n")[1]?.split("\n").slice(0, -1) ?? [];
      expect(printed.slice(0, expectedOutput(hash).length)).toEqual(expectedOutput(hash));
      expect(output).toMatch(/'\^<\[0-3\]>'\r\n0\r\n/);
      expect(status).toBe(0);
      expect(
        createHash("sha256")
          .update(fs.readFileSync(path.join(share, "from-guest")))
          .digest("hex"),
      ).toBe(hash);
      expect(fs.readFileSync(path.join(share, "a/moved"), "utf8")).toBe("two\nthree\n");
      expect(fs.readlinkSync(path.join(share, "outside"))).toBe("/proc/sys/kernel/hostname");
      expect(fs.statSync(path.join(share, "mode")).mode & 0o777).toBe(0o640);
      expect(fs.statSync(path.join(share, "mode")).mtime.toISOString()).toBe("2001-02-03T04:05:06.000Z");
      expect(fs.readdirSync(base).sort()).toEqual(["secret", "share"]);
    });
  },
);

guestTest(
  `the default guest finds its folders at /mnt, and cannot write where it may only read${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    await inFolder(async (base) => {
      for (const name of ["first", "second"]) fs.mkdirSync(path.join(base, name));
      fs.writeFileSync(path.join(base, "second/note"), "from the host\n");
      const shares = [path.join(base, "first"), `${path.join(base, "second")},readonly,tag=notes`];
      const lines = [
        "cat /mnt/notes/note > /mnt/first/copy; echo more > /mnt/notes/note; rm /mnt/notes/note; touch /mnt/notes/x",
        "poweroff",
      ];
      const steps = lines.map((type) => ({ after: PROMPT, type }));
      const options = [...shares.flatMap((share) => ["--share", share]), "--network", "none"];
      const { status, output } = await runGuest(options, steps, TIMEOUT_MS);
      expect(output.match(/Read-only file system/g)).toHaveLength(3);
      expect(status).toBe(0);
      expect(fs.readFileSync(path.join(base, "first/copy"), "utf8")).toBe("from the host\n");
      expect(fs.readFileSync(path.join(base, "second/note"), "utf8")).toBe("from the host\n");
    });
  },
);
