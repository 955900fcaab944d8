#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "output.h"

namespace stele::cli {
namespace {

constexpr std::chrono::milliseconds between_draws(100);
constexpr std::size_t bar_width = 24;

bool can_redraw_a_line() noexcept {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) != 0 && (terminal == nullptr || std::string_view(terminal) != "dumb");
}

std::size_t terminal_width() noexcept {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string duration(double seconds) {
  const auto whole = static_cast<long long>(seconds + 0.5);
  char text[32];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  }
  return text;
}

void put(std::string_view text) noexcept {
  // A bar that cannot be drawn is no reason to stop.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

Progress::Progress(std::string title, std::string unit, bool quiet)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      shown_(!quiet && can_redraw_a_line()),
      colour_(wants_colour(STDERR_FILENO)) {}

void Progress::update(std::int64_t count, std::int64_t done, std::int64_t total) {
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + between_draws;

  const double seconds = std::chrono::duration<double>(now - start_).count();
  std::string before = title_ + " ";
  std::string bar;
  std::string after;
  if (total > 0) {
    const double share = std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
    const auto filled = static_cast<std::size_t>(share * bar_width);
    bar = "[" + std::string(filled, '#') + std::string(bar_width - filled, '.') + "]";
    after = " " + std::to_string(static_cast<int>(share * 100)) + "%";
  }
  after += " " + with_thousands(count) + " " + unit_;
  if (seconds > 0) after += ", " + with_thousands(static_cast<long long>(static_cast<double>(count) / seconds)) + "/s";
  if (total > 0 && done > 0 && done < total) {
    after += ", " + duration(seconds * static_cast<double>(total - done) / static_cast<double>(done)) + " left";
  } else {
    after += ", " + duration(seconds);
  }

  // All of it is ASCII, so bytes are columns. A line that wraps could not be drawn over.
  if (before.size() + bar.size() + after.size() >= terminal_width()) bar.clear();
  const std::size_t width = before.size() + bar.size() + after.size();
  if (width >= terminal_width()) return;
  const std::string padding(drawn_width_ > width ? drawn_width_ - width : 0, ' ');
  drawn_width_ = width;
  if (colour_ && !bar.empty()) bar = "\033[32m" + bar + "\033[0m";
  put("\r" + before + bar + after + padding);
}

void Progress::finish() noexcept {
  if (drawn_width_ == 0) return;
  try {
    put("\r" + std::string(drawn_width_, ' ') + "\r");
  } catch (...) {
    // Out of memory: the bar stays.
  }
  drawn_width_ = 0;
}

}  // namespace stele::cli
