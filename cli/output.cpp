#include "output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace stele::cli {
namespace {

constexpr std::size_t buffer_bytes = 64 * 1024;
constexpr std::size_t rows_for_widths = 200;

bool starts_character(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::size_t width_of(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string cut(std::string_view text, std::size_t width) {
  if (width_of(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end) {
    if (starts_character(text[end]) && ++seen == width) break;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::size_t width_of_terminal() noexcept {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

}  // namespace

bool OutputError::broken_pipe() const noexcept {
  return error_number_ == EPIPE;
}

void FileWriter::write(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= buffer_bytes) flush();
}

void FileWriter::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      const int error_number = errno;
      buffer_.clear();  // Else the next flush would repeat what was written.
      throw OutputError(error_number, "cannot write to " + name_ + ": " + std::strerror(error_number));
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
}

FileWriter& out() {
  static FileWriter writer(STDOUT_FILENO, "standard output");
  return writer;
}

void message(std::string_view text) noexcept {
  try {
    FileWriter writer(STDERR_FILENO, "standard error");
    writer.write_line(text);
    writer.flush();
  } catch (...) {
    // Nobody listens there.
  }
}

bool wants_colour(int descriptor) noexcept {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return ::isatty(descriptor) != 0;
}

std::string printable(std::string_view text) {
  constexpr std::string_view hex_digits = "0123456789abcdef";
  std::string result;
  result.reserve(text.size());
  const auto spell_out = [&](unsigned char c) {
    result += "\\x";
    result += hex_digits[c >> 4];
    result += hex_digits[c & 0x0F];
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto following = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (c < 0x20 || c == 0x7F) {
      spell_out(c);
    } else if (c == 0xC2 && following >= 0x80 && following < 0xA0) {  // U+0080 … U+009F
      spell_out(following);
      ++i;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string with_thousands(long long value) {
  std::string digits = std::to_string(value);
  const std::size_t first = digits.front() == '-' ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3;) {
    i -= 3;
    digits.insert(i, 1, ',');
  }
  return digits;
}

std::string counted(long long value, std::string_view noun) {
  return with_thousands(value) + " " + std::string(noun) + (value == 1 ? "" : "s");
}

Table::Table(std::vector<Column> columns, bool unbuffered)
    : columns_(std::move(columns)), terminal_width_(width_of_terminal()), unbuffered_(unbuffered) {
  for (const Column& column : columns_) widths_.push_back(width_of(column.title));
}

void Table::add(std::vector<std::string> cells) {
  if (!started_) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], width_of(cells[i]));
    waiting_.push_back(std::move(cells));
    if (unbuffered_ || waiting_.size() >= rows_for_widths) start();
    return;
  }
  print(cells, false);
}

void Table::end(bool header_when_empty) {
  if (!started_ && (header_when_empty || !waiting_.empty())) start();
}

void Table::start() {
  started_ = true;
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  print(titles, true);
  for (const std::vector<std::string>& cells : waiting_) print(cells, false);
  waiting_.clear();
}

void Table::print(const std::vector<std::string>& cells, bool header) {
  std::string line;
  std::size_t used = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool last = i + 1 == cells.size();
    const std::size_t width = width_of(cells[i]);
    const std::string padding(widths_[i] > width ? widths_[i] - width : 0, ' ');
    if (columns_[i].align == Align::right) line += padding;
    if (last && terminal_width_ > used) {
      line += cut(cells[i], terminal_width_ - used);
    } else {
      line += cells[i];
    }
    if (last) break;
    if (columns_[i].align == Align::left) line += padding;
    line += "  ";
    used += std::max(widths_[i], width) + 2;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  if (header && wants_colour(STDOUT_FILENO)) line = "\033[1m" + line + "\033[0m";
  out().write_line(line);
  if (unbuffered_) out().flush();
}

}  // namespace stele::cli
