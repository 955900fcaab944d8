#include "governed_driver.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "prepare.h"
#include "stele/limits.h"

namespace stele::detail {

using driver::AppendAnswer;
using driver::PreparedAppend;
using driver::PreparedEvent;
using driver::PreparedStream;

namespace {

constexpr std::string_view withheld = R"({"$withheld":true})";

/// What a command's data is bound to.
EventIdentity identity_of(const CommandKey& key, const Uuid& command_id, const std::string& type) {
  return {StreamKey(key.tenant, key.source, key.request_id), command_id, "command " + type, 1};
}

JsonPointers places_of(const PersonalData& personal) {
  return JsonPointers(personal.places.empty() ? std::vector<std::string>{""} : personal.places);
}

void check_size(std::string_view field, const Json& data) {
  if (data.text().size() <= limits::data_bytes) return;
  throw Error(ErrorCode::too_large, std::string(field) + ": " + std::to_string(data.text().size()) +
                                        " bytes when it is encrypted, the limit is " +
                                        std::to_string(limits::data_bytes));
}

/// A misspelt place would leave what is personal readable for ever.
void check_encrypted(std::string_view field, const Json& given, const Json& sealed) {
  if (sealed.text() != given.text()) return;
  throw Error(ErrorCode::invalid_argument,
              "personal.places: none of them is in " + std::string(field) + ", so that nothing would be encrypted");
}

bool is_personal(const PreparedAppend& append) {
  if (append.command && append.command->command->personal) return true;
  return std::any_of(append.streams.begin(), append.streams.end(), [](const PreparedStream& stream) {
    return std::any_of(stream.events.begin(), stream.events.end(),
                       [](const PreparedEvent& event) { return event.event->personal.has_value(); });
  });
}

std::string violations(const std::vector<SchemaViolation>& all) {
  constexpr std::size_t most_named = 5;
  std::string text;
  for (std::size_t i = 0; i < all.size() && i < most_named; ++i) text += (i > 0 ? "; " : "") + all[i].to_string();
  if (all.size() > most_named) text += "; and more";
  return text;
}

/// A part that is gone says so; one that could not be read just now must not be taken for one that is gone.
Json opened(const EventIdentity& identity, const Json& data, const KeySource& keys) {
  DecryptedData decrypted = stele::decrypt(identity, data, keys, Unreadable::say);
  for (const UnreadablePart& part : decrypted.unreadable) {
    if (part.reason != ErrorCode::key_destroyed) stele::decrypt(identity, data, keys, Unreadable::fail);
  }
  return std::move(decrypted.data);
}

/// Whether nothing but an encrypted value, in it or around it, can be the reason.
bool may_be_of_encrypted(const SchemaViolation& violation, const std::vector<std::string>& places) {
  constexpr std::string_view cut = "…";
  const auto is_in = [](std::string_view inner, std::string_view outer) {
    return inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '/');
  };
  std::string_view pointer = violation.pointer;
  const bool is_cut = pointer.ends_with(cut);
  if (is_cut) pointer.remove_suffix(cut.size());
  return std::any_of(places.begin(), places.end(), [&](const std::string& place) {
    return is_in(pointer, place) || is_in(place, pointer) || (is_cut && place.starts_with(pointer));
  });
}

}  // namespace

/// Appends with envelopes in the place of what is personal. Must outlive the call that they are given to.
///
/// What is committed under a key that was destroyed before would be lost. So each such append has a condition: that
/// the key's stream, in which forgetting somebody begins, does not exist. Other appends pay nothing for it.
class GovernedDriver::Sealed {
 public:
  Sealed(GovernedDriver& owner, std::span<const PreparedAppend> appends)
      : owner_(owner), appends_(appends), several_(appends.size() > 1) {
    if (std::none_of(appends.begin(), appends.end(), is_personal)) return;
    copies_.assign(appends.begin(), appends.end());
    for (PreparedAppend& append : copies_) {
      if (is_personal(append)) seal(append);
    }
    appends_ = copies_;
  }

  std::span<const PreparedAppend> appends() const noexcept { return appends_; }

  /// One that something here was encrypted with.
  KeyAnswer key(const Uuid& id) const {
    for (const auto& [whose, cipher] : ciphers_) {
      if (cipher->key_id() == id) return {KeyAnswer::Kind::found, cipher};
    }
    return {};
  }

  /// Whether this is the answer to an append under a key that is being destroyed. The next try asks for a new one.
  bool was_forgotten(const AppendAnswer& answer) const {
    if (ciphers_.empty() || answer.error || answer.result.ok()) return false;
    if (answer.result.status != AppendStatus::conflict) return has_new_key();
    const StreamKey& stream = answer.result.conflict->stream;
    if (stream.type != subject_stream_type) return false;
    for (const auto& [whose, cipher] : ciphers_) {
      if (whose.first != stream.tenant || cipher->key_id().to_string() != stream.id) continue;
      owner_.ring_->forget_subject(whose.first, whose.second);
      return true;
    }
    return false;
  }

 private:
  /// A repetition that differs from what is recorded may only differ by the key that it was encrypted with here.
  bool has_new_key() const {
    bool any = false;
    for (const auto& [whose, cipher] : ciphers_) {
      const std::optional<SubjectKey> key = owner_.inner().find_subject_key(whose.first, whose.second);
      if (!key || !key->wrapped || key->key_id == cipher->key_id()) continue;
      owner_.ring_->forget_subject(whose.first, whose.second);
      any = true;
    }
    return any;
  }

  std::shared_ptr<const SubjectCipher> cipher_for(const std::string& tenant, const PersonalData& personal) {
    std::shared_ptr<const SubjectCipher>& cipher = ciphers_[{tenant, personal.subject}];
    if (cipher == nullptr) {
      // Of several appends, one that has to be sent again would come behind those that follow it.
      if (several_) owner_.ring_->forget_subject(tenant, personal.subject);
      cipher = owner_.ring_->for_writing(owner_.inner(), tenant, personal.subject);
    }
    if (std::find(used_.begin(), used_.end(), cipher) == used_.end()) used_.push_back(cipher);
    return cipher;
  }

  void seal(PreparedAppend& append) {
    if (owner_.ring_ == nullptr) {
      throw Error(ErrorCode::invalid_argument, "personal: the store was opened without keys to encrypt it with");
    }
    const std::string tenant(append.tenant);
    FingerprintForms forms;
    const bool has_command = append.command.has_value();
    if (has_command && append.command->command->personal) seal(tenant, *append.command, forms);
    for (PreparedStream& stream : append.streams) {
      for (PreparedEvent& event : stream.events) {
        if (event.event->personal) seal(*stream.key, event, has_command ? &forms : nullptr);
      }
    }
    if (append.command) append.command->fingerprint = fingerprint_of(append, forms);
    add_conditions(append);
    // Only now may what the fingerprint is made of go.
    std::size_t at = 0;
    for (PreparedStream& stream : append.streams) {
      for (PreparedEvent& event : stream.events) {
        if (event.event->personal) event.event = &events_[first_of_append_ + at++];
      }
    }
    first_of_append_ = events_.size();
    if (append.command && append.command->command->personal) append.command->command = &commands_.back();
    check_sum(append);
  }

  void add_conditions(PreparedAppend& append) {
    std::vector<StreamCondition>& conditions =
        conditions_.emplace_back(append.conditions.begin(), append.conditions.end());
    for (const std::shared_ptr<const SubjectCipher>& cipher : used_) {
      conditions.push_back(
          {StreamKey(std::string(append.tenant), std::string(subject_stream_type), cipher->key_id().to_string()),
           ExpectedVersion::no_stream()});
    }
    used_.clear();
    append.conditions = conditions;
    if (append.streams.size() + conditions.size() > limits::streams_per_append) {
      throw Error(ErrorCode::too_large, "streams: with those of its subjects' keys the append has more than " +
                                            std::to_string(limits::streams_per_append));
    }
  }

  /// What is stored has to fit into one append, or it could never be copied.
  void check_sum(const PreparedAppend& append) const {
    std::size_t bytes = 0;
    for (const PreparedStream& stream : append.streams) {
      for (const PreparedEvent& event : stream.events) bytes += event.event->data.text().size();
    }
    if (append.command && append.command->command->data) bytes += append.command->command->data->text().size();
    if (bytes <= limits::append_bytes) return;
    throw Error(ErrorCode::too_large, "append: " + std::to_string(bytes) +
                                          " bytes when it is encrypted, the limit is " +
                                          std::to_string(limits::append_bytes));
  }

  void seal(const StreamKey& stream, const PreparedEvent& event, FingerprintForms* forms) {
    const PersonalData& personal = *event.event->personal;
    const std::shared_ptr<const SubjectCipher> cipher = cipher_for(stream.tenant, personal);
    const JsonPointers places = places_of(personal);
    NewEvent& sealed = events_.emplace_back(*event.event);
    sealed.data = cipher->encrypt({stream, event.event_id, sealed.type, sealed.event_version}, sealed.data, places);
    check_encrypted("data", event.event->data, sealed.data);
    check_size("data", sealed.data);
    sealed.attributes[std::string(key_attribute)] = cipher->key_id().to_string();
    sealed.personal.reset();
    if (forms != nullptr) {
      forms->data.emplace(event.event, cipher->fingerprint_form(stream.tenant, event.event->data, places));
    }
  }

  void seal(const std::string& tenant, const driver::PreparedCommand& command, FingerprintForms& forms) {
    const PersonalData& personal = *command.command->personal;
    const std::shared_ptr<const SubjectCipher> cipher = cipher_for(tenant, personal);
    const JsonPointers places = places_of(personal);
    Command& sealed = commands_.emplace_back(*command.command);
    if (!sealed.data) return;
    sealed.data =
        cipher->encrypt(detail::identity_of(sealed.key, command.command_id, sealed.type), *sealed.data, places);
    check_encrypted("command data", *command.command->data, *sealed.data);
    check_size("command data", *sealed.data);
    sealed.personal.reset();
    forms.command_data = cipher->fingerprint_form(tenant, *command.command->data, places);
  }

  GovernedDriver& owner_;
  std::span<const PreparedAppend> appends_;
  const bool several_;
  std::vector<PreparedAppend> copies_;
  std::deque<NewEvent> events_;  // Their addresses stay.
  std::deque<Command> commands_;
  std::deque<std::vector<StreamCondition>> conditions_;
  std::vector<std::shared_ptr<const SubjectCipher>> used_;  // In the append that is being sealed.
  std::size_t first_of_append_ = 0;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const SubjectCipher>> ciphers_;
};

GovernedDriver::GovernedDriver(std::shared_ptr<driver::Driver> inner, GovernedDriverOptions options)
    : ForwardingDriver(std::move(inner)),
      clearance_(options.clearance),
      ring_(options.keys ? std::make_unique<KeyRing>(std::move(options.keys)) : nullptr) {}

// --- Writing

std::vector<AppendAnswer> GovernedDriver::append(std::span<const PreparedAppend> appends) {
  std::vector<std::vector<std::string>> warnings(appends.size());
  for (std::size_t i = 0; i < appends.size(); ++i) {
    try {
      check_schemas(appends[i], warnings[i]);
    } catch (const Error& error) {
      if (appends.size() == 1 || error.code() != ErrorCode::schema_violation) throw;
      throw Error(error.code(), "append " + std::to_string(i + 1) + ": " + error.message());
    }
  }
  const Sealed sealed(*this, appends);
  std::vector<AppendAnswer> answers = inner().append(sealed.appends());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!sealed.was_forgotten(answers[i])) continue;
    try {
      answers[i] = sealed_again(appends[i],
                                [this](const Sealed& one) { return std::move(inner().append(one.appends()).front()); });
    } catch (const Error& error) {  // Of this one alone: others may have been written.
      answers[i] = {{}, error};
    }
  }
  for (std::size_t i = 0; i < answers.size(); ++i) answers[i].result.warnings = std::move(warnings[i]);
  return answers;
}

template <class Append>
AppendAnswer GovernedDriver::sealed_again(const PreparedAppend& append, Append to_inner) {
  constexpr int tries = 3;  // More than once only if somebody is forgotten again and again.
  for (int i = 0; i < tries; ++i) {
    const Sealed sealed(*this, {&append, 1});
    AppendAnswer answer = to_inner(sealed);
    if (!sealed.was_forgotten(answer)) return answer;
  }
  throw_being_forgotten();
}

AppendAnswer GovernedDriver::append_with_hook(const PreparedAppend& append, const driver::AppendHook& hook) {
  std::vector<std::string> warnings;
  check_schemas(append, warnings);
  AppendAnswer answer = sealed_again(append, [&](const Sealed& sealed) {
    const auto revealing = [&](driver::ReadModelTransaction& transaction, std::span<const RecordedEvent> stored) {
      if (ring_ == nullptr && sees_all()) {
        hook(transaction, stored);
        return;
      }
      // With the keys that are known: the database is busy with this very transaction.
      const KeySource known = [&](const std::string& tenant, const Uuid& id) {
        const KeyAnswer own = sealed.key(id);
        return own.cipher ? own : ring_->find(tenant, id);
      };
      std::vector<RecordedEvent> events(stored.begin(), stored.end());
      for (RecordedEvent& event : events) {
        if (ring_ != nullptr) decrypt(event, known);
        withhold(event);
      }
      hook(transaction, events);
    };
    const PreparedAppend& one = sealed.appends().front();
    return hook ? inner().append_with_hook(one, revealing) : inner().append_with_hook(one, hook);
  });
  answer.result.warnings = std::move(warnings);
  return answer;
}

void GovernedDriver::check_schemas(const PreparedAppend& append, std::vector<std::string>& warnings) {
  const bool any_event = std::any_of(append.streams.begin(), append.streams.end(),
                                     [](const PreparedStream& stream) { return !stream.events.empty(); });
  if (!any_event) return;
  const std::shared_ptr<const KnownEventTypes> known = catalog_.get(inner(), append.tenant);
  if (!known->any_schema) return;
  for (const PreparedStream& stream : append.streams) {
    if (stream.key->type.starts_with(own_attributes)) continue;  // The store's own: no schema keeps it from telling.
    for (std::size_t i = 0; i < stream.events.size(); ++i) {
      const NewEvent& event = *stream.events[i].event;
      const KnownEventType* type = known->find(event.type);
      if (type == nullptr || type->schemas.empty() || type->mode == SchemaMode::off) continue;
      const std::string form = event.type + " version " + std::to_string(event.event_version);
      std::string fault;
      const auto schema = type->schemas.find(event.event_version);
      if (schema == type->schemas.end()) {
        fault = "event_version: " + form + " has no schema, and other versions of it have";
      } else {
        const bool encrypted = event.as_stored && event.attributes.count(std::string(key_attribute)) > 0;
        SchemaCheckOptions options;
        if (encrypted) options.max_violations = 1'000;  // None that counts is to stand behind those that do not.
        std::vector<SchemaViolation> found = schema->second.check(event.data, options);
        if (!found.empty() && encrypted) {
          // What came encrypted from another store was checked there; the rest is checked here.
          const std::vector<std::string> places = encrypted_places(event.data);
          std::erase_if(found, [&](const SchemaViolation& each) { return may_be_of_encrypted(each, places); });
        }
        if (!found.empty()) fault = "data: " + form + ": " + violations(found);
      }
      if (fault.empty()) continue;
      fault = stream.key->to_string() + ", event " + std::to_string(i + 1) + ": " + fault;
      if (type->mode == SchemaMode::warn) {
        warnings.push_back(std::move(fault));
      } else if (was_appended_before(append)) {
        return;  // It writes nothing: a repetition gets its answer (G5, G6), whatever schemas came since.
      } else {
        throw Error(ErrorCode::schema_violation, fault);
      }
    }
  }
}

bool GovernedDriver::was_appended_before(const PreparedAppend& append) {
  if (append.command && inner().find_command(append.command->command->key)) return true;
  for (const PreparedStream& stream : append.streams) {
    for (const PreparedEvent& event : stream.events) {
      if (event.event_id_given && inner().find_event(event.event_id)) return true;
    }
  }
  return false;
}

// --- Reading

void GovernedDriver::read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) {
  inner().read_stream(request, page);
  reveal(page, request.as_stored);
}

void GovernedDriver::read_log(const driver::LogPageRequest& request, driver::EventPage& page) {
  inner().read_log(request, page);
  reveal(page, request.as_stored);
}

std::optional<RecordedEvent> GovernedDriver::find_event(const Uuid& event_id) {
  std::optional<RecordedEvent> event = inner().find_event(event_id);
  if (event) reveal(*event);
  return event;
}

std::optional<CommandRecord> GovernedDriver::find_command(const CommandKey& key) {
  std::optional<CommandRecord> command = inner().find_command(key);
  if (command) reveal(*command);
  return command;
}

std::optional<CommandRecord> GovernedDriver::find_command(const Uuid& command_id) {
  std::optional<CommandRecord> command = inner().find_command(command_id);
  if (command) reveal(*command);
  return command;
}

std::vector<CommandRecord> GovernedDriver::list_commands(const StreamKey& stream, std::size_t limit) {
  std::vector<CommandRecord> commands = inner().list_commands(stream, limit);
  for (CommandRecord& command : commands) reveal(command);
  return commands;
}

void GovernedDriver::reveal(driver::EventPage& page, bool as_stored) {
  if ((ring_ == nullptr || as_stored) && sees_all()) return;
  std::vector<RecordedEvent*> events;
  events.reserve(page.size());
  for (std::size_t i = 0; i < page.size(); ++i) events.push_back(&page[i]);
  const std::size_t revealed = reveal(events, as_stored);
  if (revealed == page.size()) return;
  // Those before one that cannot be opened are given: the next page begins with it, and throws.
  while (page.size() > revealed) page.drop_last();
  page.end = false;
  page.scanned_to = page[page.size() - 1].position;
}

void GovernedDriver::reveal(RecordedEvent& event) {
  RecordedEvent* one = &event;
  reveal({&one, 1}, false);
}

std::size_t GovernedDriver::reveal(std::span<RecordedEvent*> events, bool as_stored) {
  std::size_t readable = events.size();
  if (ring_ != nullptr && !as_stored) {
    std::map<std::string_view, std::vector<Uuid>> wanted;
    for (const RecordedEvent* event : events) {
      const auto key = event->attributes.find(key_attribute);
      if (key == event->attributes.end()) continue;
      if (const std::optional<Uuid> id = Uuid::parse(key->second)) wanted[event->stream.tenant].push_back(*id);
    }
    std::map<std::string, std::map<Uuid, KeyAnswer>, std::less<>> answers;
    for (const auto& [tenant, ids] : wanted) {
      answers.emplace(tenant, ring_->ask(inner(), std::string(tenant), ids));
    }
    const KeySource keys = [&](const std::string& tenant, const Uuid& id) {
      const auto of_tenant = answers.find(tenant);
      if (of_tenant == answers.end()) return KeyAnswer{};
      const auto answer = of_tenant->second.find(id);
      return answer == of_tenant->second.end() ? KeyAnswer{} : answer->second;
    };
    for (std::size_t i = 0; i < readable && !wanted.empty(); ++i) {
      try {
        decrypt(*events[i], keys);
      } catch (const Error&) {
        if (i == 0) throw;
        readable = i;
      }
    }
  }
  for (std::size_t i = 0; i < readable; ++i) withhold(*events[i]);
  return readable;
}

void GovernedDriver::decrypt(RecordedEvent& event, const KeySource& keys) {
  if (event.attributes.find(key_attribute) == event.attributes.end()) return;
  event.data = opened(stele::identity_of(event), event.data, keys);
}

void GovernedDriver::withhold(RecordedEvent& event) {
  if (sees_all() || (event.redaction_level == RedactionLevel::none && !event.contains_secrets)) return;
  const std::shared_ptr<const KnownEventTypes> known = catalog_.get(inner(), event.stream.tenant);
  const KnownEventType* type = known->find(event.type);
  redact(event, clearance_, type == nullptr ? nullptr : &type->redaction);
}

void GovernedDriver::reveal(CommandRecord& command) {
  if (!command.data) return;
  if (!sees_all()) {  // A command has no level of its own, and its data may be what its events keep secret.
    command.data = Json::trusted(std::string(withheld));
    return;
  }
  if (ring_ == nullptr || command.data->text().find("$encrypted") == std::string::npos) return;
  const std::vector<Uuid> ids = key_ids_of(*command.data);
  if (ids.empty()) return;
  const std::map<Uuid, KeyAnswer> answers = ring_->ask(inner(), command.key.tenant, ids);
  const KeySource keys = [&](const std::string& /*tenant*/, const Uuid& id) {
    const auto answer = answers.find(id);
    return answer == answers.end() ? KeyAnswer{} : answer->second;
  };
  // Nobody follows commands: one that cannot be opened says so, and keeps nobody from finding the others.
  command.data = stele::decrypt(detail::identity_of(command.key, command.command_id, command.type), *command.data, keys,
                                Unreadable::say)
                     .data;
}

// --- States that were made of events. They have no level: who may not see everything gets none, and makes none.

bool GovernedDriver::save_snapshot(const Snapshot& snapshot) {
  if (!sees_all()) {
    throw Error(ErrorCode::permission_denied, "snapshots: this store was opened with clearance " +
                                                  std::string(to_string(clearance_)) +
                                                  ", and a snapshot of what it reads would be wrong for others");
  }
  return inner().save_snapshot(snapshot);
}

std::optional<Snapshot> GovernedDriver::find_snapshot(const StreamKey& stream, Version at_or_below,
                                                      std::optional<std::int32_t> schema_version) {
  if (!sees_all()) return std::nullopt;
  return inner().find_snapshot(stream, at_or_below, schema_version);
}

// --- What changes here is known here at once.

bool GovernedDriver::add_schema(const EventSchema& schema) {
  const bool added = inner().add_schema(schema);
  catalog_.forget(schema.tenant);
  return added;
}

bool GovernedDriver::remove_schema(const std::string& tenant, const EventForm& form) {
  const bool removed = inner().remove_schema(tenant, form);
  catalog_.forget(tenant);
  return removed;
}

void GovernedDriver::set_type_rules(const EventTypeRules& rules) {
  inner().set_type_rules(rules);
  catalog_.forget(rules.tenant);
}

bool GovernedDriver::destroy_subject_key(const std::string& tenant, const Uuid& key_id) {
  const bool destroyed = inner().destroy_subject_key(tenant, key_id);
  if (ring_ != nullptr) ring_->destroyed(tenant, key_id);
  return destroyed;
}

}  // namespace stele::detail
