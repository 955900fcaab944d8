#include "projection_effects.h"

#include "stele/driver/driver.h"
#include "stele/soci.h"
#include "stele/url.h"

namespace stele::testing {
namespace {

bool is_transact_sql(soci::session& sql) {
  return sql.get_backend_name() == "odbc";
}

Position checkpoint(EventStore& store, const std::string& name) {
  const auto state = store.driver().find_projection({name, ""});
  return state ? state->checkpoints.at(0).position : Position(0);
}

}  // namespace

std::string tables_of(const std::string& url) {
  const Url parsed = Url::parse(url);
  if (parsed.scheme != "mssql") return {};
  return "[" + parsed.param("schema").value_or("stele") + "].";
}

std::string SumsProjection::table(const ProjectionContext& context) const {
  return tables_ + name_ + "_" + std::to_string(context.generation());
}

void SumsProjection::create(ProjectionContext& context) {
  const std::string made = table(context);
  const bool t_sql = is_transact_sql(sql(context));
  sql(context) << (t_sql ? "IF OBJECT_ID(N'" + made + "') IS NULL CREATE TABLE " : "CREATE TABLE IF NOT EXISTS ") +
                      made + " (stream VARCHAR(300) PRIMARY KEY, events bigint NOT NULL, positions bigint NOT NULL)";
}

void SumsProjection::apply(const RecordedEvent& event, ProjectionContext& context) {
  const std::string of = table(context);
  const std::string stream = event.stream.type + "/" + event.stream.id;
  const auto position = static_cast<long long>(event.position.value());
  const std::string change =
      is_transact_sql(sql(context))
          ? "DECLARE @stream VARCHAR(300), @position BIGINT; SET @stream = :stream; SET @position = :position; "
            "UPDATE " +
                of + " SET events = events + 1, positions = positions + @position WHERE stream = @stream; " +
                "IF @@ROWCOUNT = 0 INSERT INTO " + of + " (stream, events, positions) VALUES (@stream, 1, @position)"
          : "INSERT INTO " + of +
                " (stream, events, positions) VALUES (:stream, 1, :position) ON CONFLICT (stream) DO UPDATE SET "
                "events = " +
                of + ".events + 1, positions = " + of + ".positions + excluded.positions";
  sql(context) << change, soci::use(stream, "stream"), soci::use(position, "position");
  if (applying) applying();
}

void SumsProjection::drop(ProjectionContext& context) {
  sql(context) << "DROP TABLE IF EXISTS " + table(context);
}

// The transaction on a database with one writer keeps the projection out; elsewhere the checkpoint says whether it
// moved meanwhile.
SumsState read_sums(EventStore& store, const std::string& name, const std::string& tables) {
  while (true) {
    SumsState state;
    state.checkpoint = checkpoint(store, name);
    if (state.checkpoint == Position(0)) return state;
    {
      const auto transaction = store.driver().begin_read_model();
      std::string stream;
      long long events = 0;
      long long positions = 0;
      soci::statement query =
          (sql(*transaction).prepare << "SELECT stream, events, positions FROM " + tables + name + "_1",
           soci::into(stream), soci::into(events), soci::into(positions));
      query.execute();
      while (query.fetch()) state.sums[stream] = {events, positions};
    }
    if (checkpoint(store, name) == state.checkpoint) return state;
  }
}

StreamSums computed_sums(EventStore& store, Position up_to) {
  StreamSums sums;
  for (const RecordedEvent& event : store.read_log()) {
    if (event.position > up_to) break;
    StreamSum& sum = sums[event.stream.type + "/" + event.stream.id];
    ++sum.events;
    sum.positions += event.position.value();
  }
  return sums;
}

}  // namespace stele::testing
