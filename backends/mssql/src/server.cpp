#include "server.h"

#include "errors.h"
#include "settings.h"

namespace stele::mssql {
namespace {

constexpr std::int64_t oldest_version = 15;  // SQL Server 2019.
constexpr std::int64_t forced = 2;

/// Azure SQL Database and Azure's managed instances: always the latest version.
constexpr bool is_azure(std::int64_t edition) noexcept {
  return edition == 5 || edition == 8;
}

Error unsupported(const Server& server, const std::string& what, const std::string& mending) {
  return make_error(ErrorCode::unsupported,
                    what + ". Run: ALTER DATABASE " + quoted_identifier(server.database) + " SET " + mending);
}

}  // namespace

void expect_supported(const Server& server) {
  if (server.babelfish) return;  // Its versions are its own, and its reads see committed snapshots always.
  if (!is_azure(server.edition) && server.version < oldest_version) {
    throw make_error(ErrorCode::unsupported, "the server is older than SQL Server 2019");
  }
  if (server.read_committed_snapshot.value_or(0) == 0) {
    throw unsupported(server,
                      "the database has READ_COMMITTED_SNAPSHOT switched off: readers would wait for writers, and "
                      "might see a part of an append",
                      "READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE");
  }
}

void expect_durable(const Server& server) {
  if (server.delayed_durability.value_or(0) != forced) return;
  throw unsupported(server,
                    "the database has DELAYED_DURABILITY = FORCED: an append would be acknowledged before it is on "
                    "the disk",
                    "DELAYED_DURABILITY = DISABLED");
}

}  // namespace stele::mssql
