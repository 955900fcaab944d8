#include "scratch_database.h"

#include <unistd.h>

#include <atomic>
#include <system_error>

#include "stele/backends.h"

namespace stele::bench {
namespace {

std::filesystem::path& data_directory() {
  static std::filesystem::path directory = std::filesystem::current_path();
  return directory;
}

void remove_database(const std::filesystem::path& path) {
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path.string() + suffix, ignored);
}

}  // namespace

void set_data_directory(const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  data_directory() = std::filesystem::absolute(directory);
}

std::filesystem::path data_file(const std::string& name) {
  return data_directory() / name;
}

ScratchDatabase::ScratchDatabase() {
  static std::atomic<int> count{0};
  path_ = data_directory() / ("bench-" + std::to_string(getpid()) + "-" + std::to_string(++count) + ".db");
  remove_database(path_);
  stele::open(store_url(path_), {.migrate = true}).close();
}

ScratchDatabase::~ScratchDatabase() {
  remove_database(path_);
}

EventStore ScratchDatabase::open_store() const {
  return stele::open(store_url(path_));
}

std::string store_url(const std::filesystem::path& path) {
  return "sqlite:" + path.string();
}

}  // namespace stele::bench
