// The worker as a child process, and a folder to work in.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace stele::testing {

/// A folder of its own for each test, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  std::string url() const { return "sqlite:" + (path_ / "store.db").string(); }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

class WorkerProcess {
 public:
  explicit WorkerProcess(std::vector<std::string> arguments);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  /// Reads until at least so many lines have come, or the process ended.
  void wait_for_lines(std::ptrdiff_t lines);
  /// SIGKILL, and reads what was written before.
  void kill();
  /// Waits for its end. The exit code, or 128 + signal.
  int wait();
  /// Whole lines only: a line cut by the kill was never acknowledged to anybody.
  std::vector<std::string> lines() const;

 private:
  void read_all();
  void close_pipe();

  pid_t pid_ = -1;
  int pipe_ = -1;
  std::string output_;
};

}  // namespace stele::testing
