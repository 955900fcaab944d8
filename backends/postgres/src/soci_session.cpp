#include "soci_session.h"

#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include "errors.h"

namespace stele::postgres {

SociSession::SociSession(const std::string& conninfo) {
  try {
    session_ = std::make_unique<soci::session>(soci::postgresql, conninfo);
  } catch (const soci::soci_error& error) {
    // get_error_message() and not what(): the latter repeats the connection string.
    throw Error(ErrorCode::cannot_connect, "cannot connect: " + error.get_error_message(),
                {.backend = std::string(backend_name),
                 .native_code = 0,
                 .sqlstate = {},
                 .retryable = true,
                 .outcome = Outcome::not_applied});
  }
  handle_ = static_cast<soci::postgresql_session_backend*>(session_->get_backend())->conn_;
}

SociSession::~SociSession() = default;

}  // namespace stele::postgres
