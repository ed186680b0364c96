/* The first process of a guest: what the kernel makes of performance counters and protection keys. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static sigjmp_buf behind_fault;

static void on_fault(int signal, siginfo_t *info, void *context) {
  printf("signal %d code %d key %d\n", signal, info->si_code, info->si_pkey);
  siglongjmp(behind_fault, 1);
}

/* A loop of 2,000,001 instructions. */
static void loop(void) {
  __asm__ volatile("mov $1000000, %%ecx\n1: dec %%ecx\njnz 1b" ::: "ecx", "cc");
}

static void count(const char *name, uint64_t event) {
  struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE, .size = sizeof attributes, .config = event};
  attributes.disabled = 1;
  attributes.pinned = 1;
  int counter = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
  if (counter < 0) {
    perror("perf_event_open");
    return;
  }
  uint64_t value = 0;
  ioctl(counter, PERF_EVENT_IOC_ENABLE, 0);
  loop();
  ioctl(counter, PERF_EVENT_IOC_DISABLE, 0);
  if (read(counter, &value, sizeof value) != sizeof value) perror("read");
  printf("%s %llu\n", name, (unsigned long long)value);
  close(counter);
}

static volatile int samples;

static void on_sample(int signal) { samples++; }

/* A signal for every million instructions that 10 loops execute. */
static void sample(void) {
  struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE, .size = sizeof attributes};
  attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
  attributes.sample_period = 1000000;
  attributes.disabled = 1;
  attributes.wakeup_events = 1;
  int counter = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
  if (counter < 0) {
    perror("perf_event_open");
    return;
  }
  signal(SIGIO, on_sample);
  fcntl(counter, F_SETFL, O_RDWR | O_NONBLOCK | O_ASYNC);
  fcntl(counter, F_SETOWN, getpid());
  ioctl(counter, PERF_EVENT_IOC_ENABLE, 0);
  for (int i = 0; i < 10; i++) loop();
  ioctl(counter, PERF_EVENT_IOC_DISABLE, 0);
  printf("samples %d\n", samples);
  close(counter);
}

static void protect(void) {
  volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int key = pkey_alloc(0, 0);
  if (key < 0 || pkey_mprotect((void *)page, 4096, PROT_READ | PROT_WRITE, key) != 0) {
    perror("pkey");
    return;
  }
  page[0] = 1;
  pkey_set(key, PKEY_DISABLE_WRITE);
  printf("key %d, write-disabled: reads %d\n", key, page[0]);
  if (sigsetjmp(behind_fault, 1) == 0) page[0] = 2;
  pkey_set(key, PKEY_DISABLE_ACCESS);
  if (sigsetjmp(behind_fault, 1) == 0) printf("reads %d\n", page[0]);
  pkey_set(key, 0);
  page[0]++;
  printf("enabled again: reads %d\n", page[0]);
}

int main(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  setvbuf(stdout, NULL, _IONBF, 0);
  count("instructions", PERF_COUNT_HW_INSTRUCTIONS);
  count("cycles", PERF_COUNT_HW_CPU_CYCLES);
  sample();
  protect();
  reboot(RB_POWER_OFF);
}
