#include "sql_projection.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "exit_codes.h"
#include "stele/soci.h"

namespace stele::cli {
namespace {

using nlohmann::json;

constexpr std::int64_t most_parts = 64;
constexpr std::array<std::pair<std::string_view, SqlDialect>, 3> dialects{
    {{"sqlite", SqlDialect::sqlite}, {"postgres", SqlDialect::postgres}, {"mssql", SqlDialect::mssql}}};

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) throw UsageError(path + ": cannot be read");
  return std::move(text).str();
}

/// The database's words, without the further lines, in which it repeats the statement and the values.
std::string first_line(const std::string& message) {
  return message.substr(0, message.find('\n'));
}

}  // namespace

/// Reads one file. Every fault names its place.
struct SqlProjection::Reading {
  const std::string& path;
  SqlDialect dialect;

  [[noreturn]] void refuse(const std::string& place, const std::string& why) const {
    throw UsageError(path + ": " + (place.empty() ? "" : place + ": ") + why);
  }

  void allow(const json& object, const std::string& place, std::initializer_list<std::string_view> keys) const {
    if (!object.is_object()) refuse(place, "must be an object");
    for (const auto& [key, value] : object.items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        refuse(place, "\"" + key + "\" is not known here");
      }
    }
  }

  std::string text(const json& object, const char* key) const {
    const auto found = object.find(key);
    if (found == object.end()) return {};
    if (!found->is_string() || found->get_ref<const std::string&>().empty()) refuse(key, "must be a text");
    return found->get<std::string>();
  }

  std::vector<std::string> texts(const json& list, const std::string& place) const {
    const auto is_text = [](const json& element) { return element.is_string(); };
    if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_text)) refuse(place, "must be a list of texts");
    return list.get<std::vector<std::string>>();
  }

  std::vector<std::string> texts_if_any(const json& object, const char* key) const {
    const auto found = object.find(key);
    return found == object.end() ? std::vector<std::string>() : texts(*found, key);
  }

  Statements statements(const json& list, const std::string& place, bool of_event) const {
    Statements made;
    for (const std::string& sql : texts(list, place)) {
      const std::string here = place + ", statement " + std::to_string(made.size() + 1);
      try {
        made.emplace_back(sql, dialect);
      } catch (const std::invalid_argument& error) {
        refuse(here, error.what());
      }
      if (!of_event && made.back().has_parameters()) refuse(here, "there is no event here, so there are no parameters");
    }
    return made;
  }
};

std::shared_ptr<SqlProjection> SqlProjection::read(const std::string& path, std::string_view backend) {
  const auto known =
      std::find_if(dialects.begin(), dialects.end(), [&](const auto& entry) { return entry.first == backend; });
  if (known == dialects.end()) {
    throw Error(ErrorCode::unsupported, "a projection in SQL needs a database that has SQL");
  }
  const Reading reading{path, known->second};
  json file;
  try {
    file = Json(content_of(path)).value();
  } catch (const Error& error) {
    reading.refuse("", error.message());
  }
  reading.allow(file, "",
                {"name", "tenant", "parts", "stream_types", "event_types", "create", "drop", "activate", "on", "sql"});

  auto made = std::make_shared<SqlProjection>();
  made->path_ = path;
  made->name_ = reading.text(file, "name");
  if (made->name_.empty()) reading.refuse("name", "is missing");
  made->tenant_ = reading.text(file, "tenant");
  if (const auto parts = file.find("parts"); parts != file.end()) {
    if (!parts->is_number_integer() || *parts < 1 || *parts > most_parts) {
      reading.refuse("parts", "must be a number from 1 to 64");
    }
    made->parts_ = parts->get<std::int32_t>();
  }

  // What is for all databases, and what is for this one in its place.
  const auto take = [&](const json& section, const std::string& prefix) {
    const auto list = [&](const char* key, Statements& into) {
      if (const auto found = section.find(key); found != section.end()) {
        into = reading.statements(*found, prefix + key, false);
      }
    };
    list("create", made->create_);
    list("drop", made->drop_);
    list("activate", made->activate_);
    const auto on = section.find("on");
    if (on == section.end()) return;
    if (!on->is_object()) reading.refuse(prefix + "on", "must be an object");
    for (const auto& [type, sql] : on->items()) {
      made->on_[type] = reading.statements(sql, prefix + "on." + type, true);
    }
  };
  json common = file;
  const json* own = nullptr;
  if (const auto sql = file.find("sql"); sql != file.end()) {
    reading.allow(*sql, "sql", {"sqlite", "postgres", "mssql"});
    for (const auto& [name, section] : sql->items()) {
      reading.allow(section, "sql." + name, {"create", "drop", "activate", "on"});
      if (name == backend) own = &section;
    }
  }
  if (own != nullptr) {  // What is replaced may well be nothing that this database understands.
    for (const char* key : {"create", "drop", "activate"}) {
      if (own->contains(key)) common.erase(key);
    }
    if (common.contains("on") && common["on"].is_object() && own->contains("on") && (*own)["on"].is_object()) {
      for (const auto& [type, sql] : (*own)["on"].items()) common["on"].erase(type);
    }
  }
  take(common, "");
  if (own != nullptr) take(*own, "sql." + std::string(backend) + ".");
  if (made->on_.empty()) reading.refuse("on", "there are no statements for any event");

  made->filter_.stream_types = reading.texts_if_any(file, "stream_types");
  made->filter_.event_types = reading.texts_if_any(file, "event_types");
  std::vector<std::string>& types = made->filter_.event_types;
  const bool chosen = !types.empty();
  for (const auto& [type, statements] : made->on_) {
    if (!chosen) {
      types.push_back(type);
    } else if (std::find(types.begin(), types.end(), type) == types.end()) {
      reading.refuse("on." + type, "is not among the event_types");
    }
  }
  return made;
}

bool SqlProjection::names_generation() const noexcept {
  return std::any_of(create_.begin(), create_.end(), [](const SqlStatement& sql) { return sql.names_generation(); });
}

void SqlProjection::apply(const RecordedEvent& event, ProjectionContext& context) {
  if (const auto found = on_.find(event.type); found != on_.end()) {
    execute(context, "on." + event.type, found->second, &event);
  }
}

void SqlProjection::execute(ProjectionContext& context, std::string_view place, const Statements& statements,
                            const RecordedEvent* event) const {
  soci::session& session = sql(context);
  std::size_t number = 0;
  for (const SqlStatement& statement : statements) {
    ++number;
    try {
      statement.execute(session, context.generation(), event);
    } catch (const soci::soci_error& error) {
      std::string where = path_ + ": " + std::string(place) + ", statement " + std::to_string(number);
      if (event != nullptr) where += ", for the event at position " + std::to_string(event->position.value());
      throw Error(ErrorCode::handler_failed, where + ": " + first_line(error.get_error_message()));
    }
  }
}

}  // namespace stele::cli
