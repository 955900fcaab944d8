// A progress bar on standard error, with rate and time left.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace stele::cli {

/// Draws only on a terminal, not with --quiet, and at most ten times a second. Uses no escape sequence when NO_COLOR is
/// set.
class Progress {
 public:
  /// `unit` is what `count` counts, for example "events".
  Progress(std::string title, std::string unit, bool quiet);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` in whatever measure tells the share, bytes or positions; a total of 0 means unknown.
  void update(std::int64_t count, std::int64_t done, std::int64_t total);

  /// Wipes the bar off the terminal. Before any message; a later update draws it again.
  void finish() noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  std::string title_;
  std::string unit_;
  bool shown_;
  bool colour_;
  std::size_t drawn_width_ = 0;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_draw_ = start_;
};

}  // namespace stele::cli
