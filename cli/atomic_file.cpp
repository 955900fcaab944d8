#include "atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "exit_codes.h"

namespace stele::cli {
namespace {

[[noreturn]] void fail(const std::string& path, int error_number) {
  throw CommandFailure(exit_failed, path + ": " + std::strerror(error_number));
}

std::string resolved(const std::string& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  return error ? path : real.string();
}

std::string part_path_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode)) return path + ".part";
  if (S_ISDIR(info.st_mode)) fail(path, EISDIR);
  return {};
}

bool is_file_at(int descriptor, const std::string& path) {
  struct stat mine {};
  struct stat other {};
  return ::fstat(descriptor, &mine) == 0 && ::stat(path.c_str(), &other) == 0 && mine.st_dev == other.st_dev &&
         mine.st_ino == other.st_ino;
}

/// Opens the part file as its only writer, taking over what a killed process left.
int open_part(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(path, errno);
  // The second look is for a writer that renamed the file between our opening and locking it.
  const bool alone = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && is_file_at(descriptor, path);
  if (!alone || ::ftruncate(descriptor, 0) != 0) {
    const int error_number = errno;
    ::close(descriptor);
    if (!alone) throw CommandFailure(exit_failed, path + ": is being written by another process");
    fail(path, error_number);
  }
  return descriptor;
}

int open_directly(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) fail(path, errno);
  return descriptor;
}

void sync_directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  const int descriptor = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail(directory, errno);
  const int result = ::fsync(descriptor);
  const int error_number = errno;
  ::close(descriptor);
  if (result != 0) fail(directory, error_number);
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path)
    : path_(resolved(path)),
      part_path_(part_path_of(path_)),
      descriptor_(part_path_.empty() ? open_directly(path_) : open_part(part_path_)),
      writer_(descriptor_, path) {}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  if (!part_path_.empty()) ::unlink(part_path_.c_str());
  ::close(descriptor_);
}

void AtomicFile::commit() {
  writer_.flush();
  if (!part_path_.empty()) {
    if (::fsync(descriptor_) != 0) fail(part_path_, errno);
    if (::rename(part_path_.c_str(), path_.c_str()) != 0) fail(path_, errno);
    part_path_.clear();  // Nothing is left to remove.
    sync_directory_of(path_);
  }
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0) fail(path_, errno);
}

}  // namespace stele::cli
