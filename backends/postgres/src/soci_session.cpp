#include "soci_session.h"

#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "errors.h"

namespace stele::postgres {
namespace {

/// Asking again brings nothing: the password, the database or the role is wrong. libpq has only the message of a login
/// that failed, so a server that speaks another language is not understood.
bool is_final(std::string_view message) {
  constexpr std::string_view refusals[] = {"password authentication failed", "no password supplied",
                                           "no pg_hba.conf entry", "does not exist"};
  return std::any_of(std::begin(refusals), std::end(refusals),
                     [&](std::string_view refusal) { return message.find(refusal) != std::string_view::npos; });
}

}  // namespace

SociSession::SociSession(const std::string& conninfo) {
  try {
    session_ = std::make_unique<soci::session>(soci::postgresql, conninfo);
  } catch (const soci::soci_error& error) {
    // get_error_message() and not what(): the latter repeats the connection string.
    throw Error(ErrorCode::cannot_connect, "cannot connect: " + error.get_error_message(),
                {.backend = std::string(backend_name),
                 .native_code = 0,
                 .sqlstate = {},
                 .retryable = !is_final(error.get_error_message()),
                 .outcome = Outcome::not_applied});
  }
  handle_ = static_cast<soci::postgresql_session_backend*>(session_->get_backend())->conn_;
}

SociSession::~SociSession() = default;

}  // namespace stele::postgres
