// What a server has to be, and how its database has to be set.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace stele::mssql {

/// A server and a database on it, as they were when a connection was made.
struct Server {
  bool babelfish = false;
  std::int64_t version = 0;  ///< 15 is SQL Server 2019.
  std::int64_t edition = 0;  ///< SERVERPROPERTY('EngineEdition')
  std::string database;
  std::optional<std::int64_t> read_committed_snapshot;  ///< Of sys.databases, as what follows: 1 is on.
  std::optional<std::int64_t> delayed_durability;       ///< 0 disabled, 1 allowed, 2 forced.
};

/// Throws unsupported for an old server, and for a database without READ_COMMITTED_SNAPSHOT.
void expect_supported(const Server& server);

/// Throws unsupported for a database that acknowledges commits before they are on the disk.
void expect_durable(const Server& server);

}  // namespace stele::mssql
