#include "place.h"

#include "worker_process.h"
#ifdef STELE_WITH_MSSQL
#include "../backends/mssql_server.h"
#endif
#ifdef STELE_WITH_POSTGRES
#include "../backends/postgres_server.h"
#endif

namespace stele::testing {
namespace {

class File final : public Place {
 public:
  std::string url() const override { return folder_.url(); }

 private:
  TemporaryFolder folder_;
};

// Four processes of eight threads must not take all connections that a server has.
constexpr const char* few_connections = "connections=8";

#ifdef STELE_WITH_POSTGRES
class PostgresPlace final : public ServerPlace {
 public:
  std::string url() const override { return schema_.url(few_connections); }
  std::string recognised_url() const override { return schema_.url("application_name=" + schema_.name()); }
  int end_connections() override {
    if (connection_ == nullptr) connection_ = std::make_unique<PostgresConnection>(schema_.connect());
    return std::stoi(connection_->value(
        "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = '" +
        schema_.name() + "' ORDER BY random() LIMIT 2) AS victims"));
  }
  int operations_between() const override { return 20; }

 private:
  PostgresSchema schema_;
  std::unique_ptr<PostgresConnection> connection_;
};
#endif

#ifdef STELE_WITH_MSSQL
class MssqlPlace final : public ServerPlace {
 public:
  // On Babelfish everything takes its time when twelve processes begin at once.
  std::string url() const override { return schema_.url(std::string(few_connections) + "&busy_timeout=120s"); }
  std::string recognised_url() const override { return schema_.url("application_name=" + schema_.name()); }
  int end_connections() override {
    if (connection_ == nullptr) connection_ = std::make_unique<MssqlConnection>();
    int ended = 0;
    for (const std::string& session :
         connection_->rows("SELECT TOP (2) session_id FROM sys.dm_exec_sessions WHERE program_name = N'" +
                           schema_.name() + "' ORDER BY NEWID()")) {
      // It may be gone by itself.
      if (connection_->execute("KILL " + session).empty()) ++ended;
    }
    return ended;
  }
  int operations_between() const override { return 100; }

 private:
  MssqlSchema schema_;
  std::unique_ptr<MssqlConnection> connection_;
};
#endif

}  // namespace

std::vector<std::string> server_names() {
  std::vector<std::string> names;
#ifdef STELE_WITH_POSTGRES
  names.emplace_back("postgres");
#endif
#ifdef STELE_WITH_MSSQL
  names.emplace_back("mssql");
#endif
  return names;
}

std::vector<std::string> place_names() {
  std::vector<std::string> names = server_names();
  names.insert(names.begin(), "sqlite");
  return names;
}

std::string missing_server([[maybe_unused]] const std::string& name) {
#ifdef STELE_WITH_POSTGRES
  if (name == "postgres" && postgres_url().empty()) return "STELE_TEST_POSTGRES_URL";
#endif
#ifdef STELE_WITH_MSSQL
  if (name == "mssql" && mssql_url().empty()) return "STELE_TEST_MSSQL_URL";
#endif
  return {};
}

std::unique_ptr<ServerPlace> make_server_place([[maybe_unused]] const std::string& name) {
#ifdef STELE_WITH_POSTGRES
  if (name == "postgres") return std::make_unique<PostgresPlace>();
#endif
#ifdef STELE_WITH_MSSQL
  if (name == "mssql") return std::make_unique<MssqlPlace>();
#endif
  return nullptr;
}

std::unique_ptr<Place> make_place(const std::string& name) {
  if (name == "sqlite") return std::make_unique<File>();
  return make_server_place(name);
}

}  // namespace stele::testing
