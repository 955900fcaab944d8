// Lines in a file that is compressed with gzip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace stele::detail {

/// Writes PATH.part, which takes PATH's place when it is complete and on the disk. Memory does not grow with it.
class GzipLineWriter {
 public:
  /// Throws io, permission_denied, busy when another process is writing it, and invalid_argument when PATH is there and
  /// no regular file.
  explicit GzipLineWriter(const std::string& path);
  /// Removes what is incomplete.
  ~GzipLineWriter();
  GzipLineWriter(const GzipLineWriter&) = delete;
  GzipLineWriter& operator=(const GzipLineWriter&) = delete;

  /// Adds a line end.
  void write_line(std::string_view line);
  /// Makes it durable and gives it its name. Throws io or disk_full, as write_line() does.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads them again.
class GzipLineReader {
 public:
  /// Longer than any line that the limits of an event allow.
  static constexpr std::size_t max_line_bytes = std::size_t{64} << 20;

  /// Throws cannot_connect when it cannot be opened.
  explicit GzipLineReader(const std::string& path);
  ~GzipLineReader();
  GzipLineReader(const GzipLineReader&) = delete;
  GzipLineReader& operator=(const GzipLineReader&) = delete;

  /// The next line without its line end, valid until the next call; false at the end. Throws corrupt when the file is
  /// not compressed, damaged, cut off, goes on behind its end, or has a line that is too long or does not end; and io.
  bool next(std::string_view& line);
  /// Of what next() gave last, from 1; of what it failed at.
  std::int64_t line_number() const noexcept;
  /// Throws corrupt with the file's name and the current line.
  [[noreturn]] void fail(const std::string& fault) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stele::detail
