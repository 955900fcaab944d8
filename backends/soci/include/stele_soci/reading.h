// Reads on a server: a connection that was closed meanwhile is replaced, and a schema that is not as expected is
// explained.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "stele/driver/driver.h"
#include "stele/error.h"

namespace stele::soci_backend {

/// Calls `use` with a session that `lease` gives; once more with a new one when the first turns out to be gone. `use`
/// only reads, or does what may be done twice: the first time may have been committed before the answer was lost. (A
/// lease that was taken so runs out, and a generation that was added so is a leftover.) `history(session)` gives the
/// migrations' history: something missing is damage when all of `migrations` are there, and another version's schema
/// otherwise.
template <class Lease, class Use, class History>
auto read_with_new_try(std::string_view backend, std::span<const driver::Migration> migrations, Lease lease, Use use,
                       History history) {
  const auto explain_missing = [&](auto& session, const Error& error) {
    if (error.code() != ErrorCode::schema_outdated || !session.usable()) return;
    if (driver::current_migration(history(session)) != static_cast<int>(migrations.size())) return;
    throw Error(ErrorCode::corrupt, "the schema is damaged: " + error.message(),
                {.backend = std::string(backend),
                 .native_code = error.native_code(),
                 .sqlstate = error.sqlstate(),
                 .retryable = false,
                 .outcome = Outcome::not_applied});
  };
  for (bool again = true;; again = false) {
    auto session = lease();
    try {
      return use(*session);
    } catch (const Error& error) {
      explain_missing(*session, error);
      if (session->usable() || !again) throw;  // The server had hung up: a new connection may do.
    }
  }
}

}  // namespace stele::soci_backend
