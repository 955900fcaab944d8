// A file that appears whole or not at all.
#pragma once

#include <string>

#include "output.h"

namespace stele::cli {

/// Writes to PATH.part, which takes PATH's place when it is complete and on the disk. What is no regular file, such as
/// a pipe or /dev/null, is written to directly.
class AtomicFile {
 public:
  /// Throws CommandFailure when it cannot be created, or when another process is writing it.
  explicit AtomicFile(const std::string& path);
  /// Removes what is incomplete.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  FileWriter& writer() noexcept { return writer_; }

  /// Makes it durable and gives it its name. Throws OutputError or CommandFailure.
  void commit();

 private:
  std::string path_;       // With symbolic links resolved.
  std::string part_path_;  // Empty when path_ is written to directly.
  int descriptor_;
  FileWriter writer_;
};

}  // namespace stele::cli
