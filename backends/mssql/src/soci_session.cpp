#include "soci_session.h"

#include "errors.h"
#include "soci_backend.h"
#include "statement.h"

namespace stele::mssql {
namespace {

Error cannot_connect(const Settings& settings, const soci::odbc_soci_error& error) {
  Diagnostic diagnostic = diagnostic_of(error);
  const bool no_driver = diagnostic.sqlstate.starts_with("IM") ||
                         (diagnostic.sqlstate == "01000" && diagnostic.message.find("open lib") != std::string::npos);
  if (no_driver) diagnostic.message += ". " + missing_driver_hint(settings.driver);
  const Error classified = make_error(diagnostic, false, "cannot connect", Outcome::not_applied);
  const ErrorCode code =
      classified.code() == ErrorCode::permission_denied ? ErrorCode::permission_denied : ErrorCode::cannot_connect;
  return Error(code, classified.message(),
               {.backend = std::string(backend_name),
                .native_code = classified.native_code(),
                .sqlstate = classified.sqlstate(),
                .retryable = !no_driver,
                .outcome = Outcome::not_applied});
}

}  // namespace

Diagnostic diagnostic_of(const soci::odbc_soci_error& error) {
  // Not what(): it may repeat the connection string.
  return {reinterpret_cast<const char*>(error.odbc_error_code()), static_cast<std::int32_t>(error.native_error_code()),
          without_origin(reinterpret_cast<const char*>(error.odbc_error_message())), 0};
}

namespace {

class Factory final : public soci::backend_factory {
 public:
  soci::details::session_backend* make_session(const soci::connection_parameters& parameters) const override {
    return new SociBackend(parameters.get_connect_string());
  }
};

}  // namespace

SociSession::SociSession(const Settings& settings) {
  static const Factory factory;
  try {
    session_ = std::make_unique<soci::session>(factory, settings.connection);
  } catch (const soci::odbc_soci_error& error) {
    throw cannot_connect(settings, error);
  } catch (const soci::soci_error&) {
    throw make_error(ErrorCode::cannot_connect, "cannot connect");
  }
  const auto* backend = static_cast<SociBackend*>(session_->get_backend());
  handle_ = backend->handle();
  freetds_ = backend->is_freetds();
}

SociSession::~SociSession() = default;

}  // namespace stele::mssql
