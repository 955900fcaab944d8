// Reads an archive event by event, and checks all of it on the way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "gzip_lines.h"
#include "sha256.h"
#include "stele/archive.h"

namespace stele::detail {

inline constexpr std::string_view archive_format = "stele archive 1";

/// The first line, and the last.
std::string archive_header_line(const ArchiveInfo& info);
std::string archive_end_line(const ArchiveInfo& info);

class ArchiveReader {
 public:
  /// Reads the first line. Throws as verify_archive().
  explicit ArchiveReader(const std::string& path);

  /// The next event; nullopt when all were read and the archive is whole. Throws as verify_archive().
  std::optional<RecordedEvent> next();

  /// The line of the event that was given last.
  std::int64_t line() const noexcept { return lines_.line_number(); }
  /// Complete at the end.
  const ArchiveInfo& info() const noexcept { return info_; }

 private:
  void read_header();
  void read_end(std::string_view line);
  RecordedEvent read_event(std::string_view line);
  void check_place(const RecordedEvent& event);
  void end_stream();
  std::string_view next_line();

  GzipLineReader lines_;
  Sha256 digest_;  // Of the lines so far.
  ArchiveInfo info_;
  struct Last {
    StreamKey stream;
    Version version;
    Position position;
    Timestamp recorded_at;
    std::string type;
  };
  std::optional<Last> last_;  // The event before.
  bool ended_ = false;
};

}  // namespace stele::detail
