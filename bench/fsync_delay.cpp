// LD_PRELOAD shim: fsync and fdatasync first sleep STELE_FSYNC_DELAY_US microseconds, then do their work. It shows what
// group commit is worth on a disk whose fsync takes milliseconds, on a machine whose disk is faster.

#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace {

using Sync = int (*)(int);

Sync real(const char* name) {
  return reinterpret_cast<Sync>(dlsym(RTLD_NEXT, name));
}

long delay_in_microseconds() {
  const char* const text = std::getenv("STELE_FSYNC_DELAY_US");
  return text != nullptr ? std::strtol(text, nullptr, 10) : 0;
}

void delay() {
  static const long microseconds = delay_in_microseconds();
  if (microseconds <= 0) return;
  timespec left{microseconds / 1'000'000, microseconds % 1'000'000 * 1'000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int fsync(int file) {
  static const Sync sync = real("fsync");
  delay();
  return sync(file);
}

__attribute__((visibility("default"))) int fdatasync(int file) {
  static const Sync sync = real("fdatasync");
  delay();
  return sync(file);
}

}  // extern "C"
