#include "soci_session.h"

#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include "errors.h"

namespace stele::sqlite {

SociSession::SociSession(const std::string& uri) {
  try {
    session_ = std::make_unique<soci::session>(soci::sqlite3, "dbname=" + uri);
  } catch (const soci::soci_error& error) {
    // get_error_message() and not what(): the latter repeats every bound value.
    throw Error(ErrorCode::cannot_connect, "cannot open the database: " + error.get_error_message(),
                {.backend = std::string(backend_name),
                 .native_code = 0,
                 .sqlstate = {},
                 .retryable = false,
                 .outcome = Outcome::not_applied});
  }
  auto* backend = static_cast<soci::sqlite3_session_backend*>(session_->get_backend());
  handle_ = reinterpret_cast<::sqlite3*>(backend->conn_);
}

SociSession::~SociSession() = default;

}  // namespace stele::sqlite
