// Database files for the benchmarks, in one directory that has to be on the disk to be measured.
#pragma once

#include <filesystem>
#include <string>

#include "stele/event_store.h"

namespace stele::bench {

void set_data_directory(const std::filesystem::path& directory);
std::filesystem::path data_file(const std::string& name);

/// A new, empty, migrated database file; removed by the destructor.
class ScratchDatabase {
 public:
  ScratchDatabase();
  ScratchDatabase(const ScratchDatabase&) = delete;
  ScratchDatabase& operator=(const ScratchDatabase&) = delete;
  ~ScratchDatabase();

  const std::filesystem::path& path() const noexcept { return path_; }
  EventStore open_store() const;

 private:
  std::filesystem::path path_;
};

/// "sqlite:" and the path, as the store takes it.
std::string store_url(const std::filesystem::path& path);

}  // namespace stele::bench
