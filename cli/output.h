// What the program prints: data to standard output, checked; messages to standard error.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace stele::cli {

/// Standard output did not take what was written.
class OutputError : public std::exception {
 public:
  OutputError(int error_number, std::string message) : error_number_(error_number), message_(std::move(message)) {}
  /// The reader went away (`stele log | head`), which is nothing to complain about.
  bool broken_pipe() const noexcept;
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  int error_number_;
  std::string message_;
};

/// Buffered writes to a file descriptor, every one of them checked. Throws OutputError.
class FileWriter {
 public:
  FileWriter(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(std::string_view text);
  void write_line(std::string_view text) {
    write(text);
    write("\n");
  }
  void flush();
  int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_;
  std::string name_;
  std::string buffer_;
};

/// Standard output.
FileWriter& out();

/// A line on standard error, without the program's name before it.
void message(std::string_view text) noexcept;

/// Whether colours are wanted on this descriptor: a terminal that is not dumb, and no NO_COLOR.
bool wants_colour(int descriptor) noexcept;

/// Text for people: control characters, which could drive their terminal, are spelled out.
std::string printable(std::string_view text);

/// "8,577".
std::string with_thousands(long long value);
/// "1 event", "8,577 events".
std::string counted(long long value, std::string_view noun);

/// Rows for people, in columns as wide as the first rows need. Prints as it goes: memory does not grow with the table.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };

  /// With `unbuffered` each row is printed at once.
  explicit Table(std::vector<Column> columns, bool unbuffered = false);
  /// The last column is not padded, and cut off at the terminal's edge when standard output is one.
  void add(std::vector<std::string> cells);
  /// Prints what is left; the header too, if there was no row and `header_when_empty`.
  void end(bool header_when_empty = false);

 private:
  void start();
  void print(const std::vector<std::string>& cells, bool header);

  std::vector<Column> columns_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<std::string>> waiting_;
  std::size_t terminal_width_;  ///< 0: none.
  bool unbuffered_;
  bool started_ = false;
};

}  // namespace stele::cli
