// Archives: closed streams in a file, to keep where they are cheap to keep, and to read again when the store that they
// came from is gone. Nothing is ever removed from the store (G8); see docs/archives.md.
//
// An archive is NDJSON, compressed with gzip. Its first line says what it is, its last line how much it holds, with the
// SHA-256 of all bytes of the lines before it. Between them is one event a line, as to_json_line(RecordedEvent) writes
// it, stream behind stream. What is encrypted stays encrypted: once its subject is forgotten, nobody can read it in an
// archive either.
//
// Archives are read as stores, too: open `archive:PATH`. That checks the file and keeps all of it in memory; positions,
// versions and times are the original ones. It holds no commands, schemas, rules and keys; what writes, or needs them,
// throws unsupported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "stele/chain.h"
#include "stele/event_store.h"
#include "stele/export.h"

namespace stele {

/// Which streams are closed.
struct ArchiveOptions {
  Timestamp before;                                        ///< The last event was recorded before this time.
  std::vector<std::string> closing_types{};                ///< And is of one of these types. Empty: of any.
  std::vector<std::string> tenants{};                      ///< Of these tenants. Empty: of all, or the store's own.
  std::function<void(std::int64_t events)> on_progress{};  ///< Events written so far; called now and then.
};

/// What an archive says of itself.
struct ArchiveInfo {
  Timestamp made_at;  ///< This process's clock.
  Timestamp before;
  std::vector<std::string> closing_types;
  std::vector<std::string> tenants;  ///< That were looked at, in byte order; some may have no closed stream.
  std::int64_t events = 0;
  std::int64_t streams = 0;
  ChainHash sha256{};  ///< Of the lines before the last one.
};

/// Writes the closed streams, ordered by tenant, type and id, each with all of its events. PATH.part takes PATH's place
/// once it is complete and on the disk. Memory does not grow with the archive. Each stream is judged when its turn
/// comes; what is appended to it afterwards is not in the archive, and its next archive has all of it.
///
/// Throws invalid_argument for a bad option or when PATH is there and no regular file, permission_denied for a store
/// with less than full clearance, io, disk_full, busy when another process writes the same file, and what reads throw.
STELE_API ArchiveInfo write_archive(EventStore& store, const std::string& path, const ArchiveOptions& options);

/// Checks that the archive is whole and unchanged: the checksum, the counts, that every line is valid, that streams
/// come in order and once, each with the versions 1, 2, 3 … and positions and times that fit, and that each is closed
/// as the first line says. Memory does not grow with it.
///
/// Throws corrupt that names the line and the fault, unsupported for an archive of another format, cannot_connect when
/// the file cannot be opened, and io. The checksum is no signature: who can write the file can compute it anew.
STELE_API ArchiveInfo verify_archive(const std::string& path);

/// An event of an archive that is not in the store as it is in the archive.
struct ArchiveDifference {
  std::int64_t line = 0;  ///< In the archive.
  StreamKey stream;
  Version version;
  Uuid event_id;     ///< In the archive.
  std::string what;  ///< In words: that it is missing, or which fields differ. No payload.
};

struct ArchiveComparison {
  ArchiveInfo archive;
  std::int64_t different = 0;                  ///< Events that are missing or differ.
  std::vector<ArchiveDifference> differences;  ///< The first of them.
  bool ok() const noexcept { return different == 0; }
};

struct ArchiveCompareOptions {
  std::size_t max_differences = 100;                       ///< Name so many.
  std::function<void(std::int64_t events)> on_progress{};  ///< Events compared so far; called now and then.
};

/// Verifies the archive, and compares each event with the one in the store that has its stream and version: every
/// field, JSON as JSON. That the store has more, behind the archive's end or in other streams, is no difference. Throws
/// as verify_archive(), permission_denied for a store with less than full clearance, and what reads throw.
STELE_API ArchiveComparison compare_archive(EventStore& store, const std::string& path,
                                            const ArchiveCompareOptions& options = {});

}  // namespace stele
