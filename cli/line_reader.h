// Lines of a file or a pipe, of bounded length.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "output.h"

namespace stele::cli {

class LineReader {
 public:
  enum class Found { line, too_long, end };

  /// Longer than any line that the limits of an event allow.
  static constexpr std::size_t max_line_bytes = std::size_t{64} << 20;

  /// A path, or "-" for standard input. Throws CommandFailure when it cannot be opened or is a directory.
  explicit LineReader(const std::string& path);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// The next line without its line end, valid until the next call. `too_long` gives no text; skip_line() has to
  /// follow.
  Found next(std::string_view& line);

  /// Goes behind the line that was too long, copying it with its line end to `copy` unless that is null.
  void skip_line(FileWriter* copy);

  std::int64_t line_number() const noexcept { return line_number_; }  ///< Of what next() gave last, from 1.
  std::int64_t bytes_done() const noexcept { return bytes_done_; }
  std::int64_t bytes_total() const noexcept { return bytes_total_; }  ///< 0 when unknown.
  bool same_file_as(const std::string& path) const noexcept;
  const std::string& name() const noexcept { return name_; }

 private:
  bool fill();

  std::string name_;
  int descriptor_;
  std::string buffer_;
  std::size_t begin_ = 0;    // Of what was not given yet.
  std::size_t scanned_ = 0;  // Up to here there is no line end.
  bool at_end_ = false;
  std::int64_t line_number_ = 0;
  std::int64_t bytes_done_ = 0;
  std::int64_t bytes_total_ = 0;
};

}  // namespace stele::cli
