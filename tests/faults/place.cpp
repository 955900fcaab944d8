#include "place.h"

#include "worker_process.h"
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

#ifdef STELE_WITH_POSTGRES
class Schema final : public Place {
 public:
  // Four processes of eight threads must not take all connections that the server has.
  std::string url() const override { return schema_.url("connections=8"); }

 private:
  PostgresSchema schema_;
};
#endif

}  // namespace

std::vector<std::string> place_names() {
#ifdef STELE_WITH_POSTGRES
  return {"sqlite", "postgres"};
#else
  return {"sqlite"};
#endif
}

std::unique_ptr<Place> make_place(const std::string& name) {
#ifdef STELE_WITH_POSTGRES
  if (name == "postgres") return postgres_url().empty() ? nullptr : std::make_unique<Schema>();
#endif
  return name == "sqlite" ? std::make_unique<File>() : nullptr;
}

}  // namespace stele::testing
