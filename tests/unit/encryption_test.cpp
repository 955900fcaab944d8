// Encrypted parts of events, and everything that must not open them.
#include "stele/encryption.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "crypto.h"
#include "error_of.h"

namespace stele {
namespace {

using std::string;

string from_hex(std::string_view hex) {
  string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}
string to_hex_text(std::string_view bytes) {
  string hex;
  for (const char c : bytes) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", static_cast<unsigned char>(c));
    hex += two;
  }
  return hex;
}
SecretKey key_of(std::string_view bytes) {
  return SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}
SecretKey key_of(char fill) {
  return key_of(string(32, fill));
}

// --- The building blocks, against published values

TEST(Crypto, GcmGivesThePublishedValues) {
  // McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16.
  const SecretKey key = key_of(from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
  const string nonce = from_hex("cafebabefacedbaddecaf888");
  const string associated = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const string text = from_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
      "ba637b39");
  string sealed = "kept";
  detail::gcm_seal(key, nonce, associated, text, sealed);
  EXPECT_EQ(to_hex_text(sealed.substr(4)),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393"
            "ba7a0abcc9f662"
            "76fc6ece0f4e1768cddf8853bb2d551b");
  const std::string_view ciphertext = std::string_view(sealed).substr(4, text.size());
  const std::string_view tag = std::string_view(sealed).substr(4 + text.size());
  EXPECT_EQ(detail::gcm_open(key, nonce, associated, ciphertext, tag), text);
  for (std::size_t i = 0; i < tag.size(); ++i) {
    EXPECT_EQ(detail::gcm_open(key, nonce, associated, ciphertext, tag.substr(0, i)), std::nullopt) << i;
  }
  EXPECT_EQ(detail::gcm_open(key, nonce, "", ciphertext, tag), std::nullopt);
  EXPECT_EQ(detail::gcm_open(key_of('x'), nonce, associated, ciphertext, tag), std::nullopt);
}

TEST(Crypto, HmacGivesThePublishedValue) {
  // RFC 4231, test case 3 has 20 bytes of key; padded with zeros to 32 it is the same HMAC.
  const auto mac =
      detail::Hmac(key_of(string(20, '\xaa') + string(12, '\0'))).of(string(20, '\xdd'), string(30, '\xdd'));
  EXPECT_EQ(to_hex_text({reinterpret_cast<const char*>(mac.data()), mac.size()}),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
}

TEST(Crypto, HkdfIsHmacTwice) {
  // RFC 5869, by its definition: T(1) = HMAC(HMAC(salt, key), info || 1), with a salt of 32 bytes.
  const string salt(32, 's');
  const string key(32, 'k');
  const auto extracted = detail::Hmac(key_of(salt)).of(key, "");
  const auto expected = detail::Hmac(SecretKey::from_bytes(extracted)).of("some info", "\x01");
  const SecretKey derived = detail::derive_key(key_of(key), salt, "some info");
  EXPECT_TRUE(derived == SecretKey::from_bytes(expected));
  EXPECT_FALSE(derived == detail::derive_key(key_of(key), salt, "other info"));
}

TEST(Crypto, Base64HasOneTextForEachValue) {
  for (const auto& [bytes, text] : std::vector<std::pair<string, string>>{{"", ""},
                                                                          {"f", "Zg=="},
                                                                          {"fo", "Zm8="},
                                                                          {"foo", "Zm9v"},
                                                                          {"foob", "Zm9vYg=="},
                                                                          {string("\0\xff\xfe", 3), "AP/+"}}) {
    EXPECT_EQ(detail::base64(bytes), text);
    EXPECT_EQ(detail::from_base64(text), bytes);
  }
  for (const char* text :
       {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "=Zg=", "====", "Zm 9", "Zm9v\n", "Zm-_", "Z===", "Zg==="}) {
    EXPECT_EQ(detail::from_base64(text), std::nullopt) << text;
  }
}

TEST(Crypto, FramedTextsDifferWhenTheirFieldsDo) {
  using detail::FramedText;
  EXPECT_NE(FramedText().add("ab").add("c").text(), FramedText().add("a").add("bc").text());
  EXPECT_NE(FramedText().add("a").text(), FramedText().add("a").add("").text());
}

/// Out of the compiler's sight, which may take memory whose object is gone for anything.
[[gnu::noipa]] void destroy(SecretKey* key) {
  key->~SecretKey();
}

TEST(SecretKeys, AreWipedWhereTheyWere) {
  alignas(SecretKey) unsigned char memory[sizeof(SecretKey)];
  const string zeros(32, '\0');
  const auto bytes = [&] { return string(reinterpret_cast<char*>(memory), sizeof(memory)); };
  auto* key = new (memory) SecretKey(key_of('k'));
  EXPECT_NE(bytes().find("kkkkkkkk"), string::npos);
  const SecretKey moved = std::move(*key);
  EXPECT_EQ(bytes(), zeros);
  *key = moved.copy();
  EXPECT_NE(bytes().find("kkkkkkkk"), string::npos);
  destroy(key);
  EXPECT_EQ(bytes(), zeros);
  static_assert(!std::is_copy_constructible_v<SecretKey> && !std::is_copy_assignable_v<SecretKey>);
  EXPECT_FALSE(SecretKey::random() == SecretKey::random());
  EXPECT_ERROR(SecretKey::from_bytes({}), ErrorCode::invalid_argument, "32 bytes");
  string text(100, 'x');
  const char* where = text.data();
  detail::wipe(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(string(where, 100).find('x'), string::npos);
}

// --- Events

Uuid uuid(int number) {
  Uuid::Bytes bytes{};
  bytes[0] = 1;
  bytes[15] = static_cast<std::uint8_t>(number);
  return Uuid(bytes);
}

EventIdentity event() {
  return {StreamKey("acme", "person", "42"), uuid(1), "Registered", 1};
}

SubjectCipher cipher(int id = 7, char fill = 'k') {
  return SubjectCipher(uuid(id), key_of(fill));
}

KeySource only(const SubjectCipher& one) {
  return [one](const string& tenant, const Uuid& id) {
    if (tenant != "acme" || id != one.key_id()) return KeyAnswer{};
    return KeyAnswer{KeyAnswer::Kind::found, std::make_shared<const SubjectCipher>(one)};
  };
}
KeyAnswer destroyed(const string&, const Uuid&) {
  return {KeyAnswer::Kind::destroyed, nullptr};
}

const JsonPointers whole({""});

TEST(Encryption, GivesBackWhatItTook) {
  for (const string text : {R"({"name":"Anna","ssn":"MARKER"})", "[]", "{}", R"([1,"MARKER",null,true,{"a":[[]]}])",
                            R"({"n":123456789012345678901234567890.10,"é":"\ud83d\ude00\u0001"})"}) {
    const Json data(text);
    const Json encrypted = cipher().encrypt(event(), data, whole);
    EXPECT_TRUE(encrypted.text().starts_with(R"({"$encrypted":{"ct":")")) << encrypted.text();
    EXPECT_EQ(encrypted.text().find("MARKER"), string::npos);
    EXPECT_NO_THROW(Json(encrypted.text()));
    const DecryptedData back = decrypt(event(), encrypted, only(cipher()));
    EXPECT_TRUE(json_equal(back.data, data)) << back.data.text();
    EXPECT_TRUE(back.unreadable.empty());
  }
}

TEST(Encryption, TakesNamedPlacesAndLeavesTheRestAsItIs) {
  const Json data(R"({ "name": "MARKER", "ids": [ {"n": 1.50, "s": "MARKER"}, {"n": 2} ], "city": "Delft", "k": 10 })");
  const JsonPointers places({"/name", "/ids/*/s", "/k", "/none"});
  const Json encrypted = cipher().encrypt(event(), data, places);
  EXPECT_EQ(encrypted.text().find("MARKER"), string::npos);
  EXPECT_NE(encrypted.text().find(R"("city": "Delft")"), string::npos);
  EXPECT_NE(encrypted.text().find(R"("n": 1.50)"), string::npos);
  EXPECT_EQ(decrypt(event(), encrypted, only(cipher())).data.text(), data.text());
  EXPECT_EQ(key_ids_of(encrypted), std::vector<Uuid>{uuid(7)});
  EXPECT_EQ(cipher().encrypt(event(), data, JsonPointers({"/none"})), data);
  EXPECT_EQ(decrypt(event(), data, destroyed).data, data);
}

// A repeated append has to be equal byte for byte (G5, G6).
TEST(Encryption, IsTheSameEachTime) {
  const Json data(R"({"a":"x","n":1.50,"m":{"p":1,"q":2}})");
  const Json once = cipher().encrypt(event(), data, whole);
  EXPECT_EQ(cipher().encrypt(event(), data, whole), once);
  // Said in another way, it is the same request.
  EXPECT_EQ(cipher().encrypt(event(), Json(R"({"m":{"q":2.0,"p":1e0}, "n":150e-2,"\u0061":"x"})"), whole), once);
  EXPECT_NE(cipher().encrypt(event(), Json(R"({"a":"x","n":1.51,"m":{"p":1,"q":2}})"), whole), once);
}

TEST(Encryption, NothingTellsEqualValuesOfDifferentPlacesAndEvents) {
  std::set<string> ciphertexts;
  std::set<string> nonces;
  const auto collect = [&](const Json& encrypted) {
    const nlohmann::json parsed = encrypted.value();
    for (const nlohmann::json& element : parsed) {
      ciphertexts.insert(element["$encrypted"]["ct"].get<string>());
      nonces.insert(element["$encrypted"]["iv"].get<string>());
    }
  };
  const Json data(R"(["same","same","same"])");
  const JsonPointers each({"/*"});
  std::vector<EventIdentity> events(7, event());
  events[1].event_id = uuid(2);
  events[2].stream.id = "43";
  events[3].stream.type = "people";
  events[4].stream.tenant = "other";
  events[5].type = "Renamed";
  events[6].event_version = 2;
  for (const EventIdentity& e : events) collect(cipher().encrypt(e, data, each));
  // Of the same event and place only the value differs: a nonce twice here would give away what both are.
  collect(cipher().encrypt(event(), Json(R"(["samf","samg","same "])"), each));
  collect(cipher(8).encrypt(event(), data, each));
  collect(cipher(7, 'l').encrypt(event(), data, each));
  EXPECT_EQ(ciphertexts.size(), 30U);
  EXPECT_EQ(nonces.size(), 30U);
}

TEST(Encryption, OpensInItsOwnEventAndPlaceOnly) {
  const Json encrypted = cipher().encrypt(event(), Json(R"({"a":1,"b":2})"), JsonPointers({"/a", "/b"}));
  const auto refused = [&](auto edit) {
    EventIdentity other = event();
    edit(other);
    EXPECT_ERROR(decrypt(other, encrypted,
                         [](const string&, const Uuid&) {
                           return KeyAnswer{KeyAnswer::Kind::found, std::make_shared<const SubjectCipher>(cipher())};
                         }),
                 ErrorCode::tampered, "belongs to another event");
  };
  refused([](EventIdentity& e) { e.event_id = uuid(2); });
  refused([](EventIdentity& e) { e.stream.id = "43"; });
  refused([](EventIdentity& e) { e.stream.type = "perso"; });
  refused([](EventIdentity& e) { e.stream.tenant = "acm"; });
  refused([](EventIdentity& e) { e.type = "Renamed"; });
  refused([](EventIdentity& e) { e.event_version = 2; });
  refused([](EventIdentity& e) {
    e.stream.type = "person4";
    e.stream.id = "2";
  });

  // Two envelopes of one event in each other's places.
  nlohmann::json swapped = encrypted.value();
  std::swap(swapped["a"], swapped["b"]);
  EXPECT_ERROR(decrypt(event(), Json(swapped), only(cipher())), ErrorCode::tampered, "the encrypted part at \"/a\"");
  nlohmann::json moved = {{"c", encrypted.value()["a"]}};
  EXPECT_ERROR(decrypt(event(), Json(moved), only(cipher())), ErrorCode::tampered, "at \"/c\"");
}

TEST(Encryption, EveryChangedBitIsSeen) {
  const Json encrypted = cipher().encrypt(event(), Json(R"({"a":"some text"})"), whole);
  for (const char* part : {"ct", "iv", "tag"}) {
    nlohmann::json parsed = encrypted.value();
    const string bytes = *detail::from_base64(parsed["$encrypted"][part].get<string>());
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      string changed = bytes;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
      parsed["$encrypted"][part] = detail::base64(changed);
      EXPECT_EQ(testing::error_of([&] { decrypt(event(), Json(parsed), only(cipher())); }).code(), ErrorCode::tampered)
          << part << " " << bit;
    }
  }
}

TEST(Encryption, TellsEachFaultByItsCode) {
  const Json encrypted = cipher().encrypt(event(), Json(R"({"a":1})"), JsonPointers({"/a"}));
  const auto with = [&](auto edit) {
    nlohmann::json parsed = encrypted.value();
    edit(parsed["a"]["$encrypted"]);
    return Json(parsed);
  };
  const auto code = [&](const Json& data, const KeySource& keys) {
    const Error error = testing::error_of([&] { decrypt(event(), data, keys); });
    EXPECT_TRUE(testing::contains(error.message(), "01000000-0000-0000-0000-000000000001"));
    return error.code();
  };
  EXPECT_EQ(code(encrypted, destroyed), ErrorCode::key_destroyed);
  EXPECT_EQ(code(encrypted, [](const string&, const Uuid&) { return KeyAnswer{}; }), ErrorCode::key_unavailable);
  EXPECT_EQ(code(encrypted, only(cipher(8))), ErrorCode::key_unavailable);
  EXPECT_EQ(code(encrypted, only(cipher(7, 'l'))), ErrorCode::wrong_key);
  EXPECT_EQ(code(encrypted,
                 [](const string&, const Uuid&) {
                   return KeyAnswer{KeyAnswer::Kind::found, std::make_shared<const SubjectCipher>(cipher(9))};
                 }),
            ErrorCode::wrong_key);
  using J = nlohmann::json;
  const string tag = encrypted.value()["a"]["$encrypted"]["tag"].get<string>();
  EXPECT_EQ(code(with([&](J& e) { e["tag"] = tag.substr(0, 20); }), only(cipher())), ErrorCode::tampered);  // cut
  EXPECT_EQ(
      code(with([&](J& e) { e["tag"] = detail::base64(detail::from_base64(tag)->substr(0, 12)); }), only(cipher())),
      ErrorCode::tampered);
  EXPECT_EQ(code(with([](J& e) { e["tag"] = ""; }), only(cipher())), ErrorCode::tampered);
  EXPECT_EQ(code(with([](J& e) { e.erase("tag"); }), only(cipher())), ErrorCode::tampered);
  EXPECT_EQ(code(with([](J& e) { e["iv"] = ""; }), only(cipher())), ErrorCode::tampered);
  EXPECT_EQ(code(with([](J& e) { e["ct"] = ""; }), only(cipher())), ErrorCode::tampered);
  EXPECT_EQ(code(with([](J& e) { e["ct"] = 1; }), only(cipher())), ErrorCode::tampered);
  EXPECT_EQ(code(with([](J& e) { e["key"] = "x"; }), only(cipher())), ErrorCode::tampered);
  EXPECT_EQ(code(with([](J& e) { e["more"] = 1; }), only(cipher())), ErrorCode::tampered);
  EXPECT_EQ(code(with([](J& e) { e["v"] = "1"; }), only(cipher())), ErrorCode::tampered);
  EXPECT_EQ(code(with([](J& e) { e = 1; }), only(cipher())), ErrorCode::tampered);
  EXPECT_EQ(code(with([](J& e) { e["v"] = 2; }), only(cipher())), ErrorCode::unsupported);
  EXPECT_EQ(code(with([](J& e) { e["kc"] = detail::base64("12345678"); }), only(cipher())), ErrorCode::wrong_key);
  nlohmann::json beside = encrypted.value();
  beside["a"]["other"] = 1;
  EXPECT_EQ(code(Json(beside), only(cipher())), ErrorCode::tampered);
  EXPECT_EQ(code(Json(string(R"({"a":{"\u0024encrypted":{}}})")), only(cipher())), ErrorCode::tampered);
  EXPECT_TRUE(key_ids_of(Json(R"({"$encrypted":{}})")).empty());
}

TEST(Encryption, UnreadablePartsSaySoWhereTheReaderAsks) {
  Json data(R"({"a":"MARKER","b":[true,"MARKER"],"c":3})");
  data = cipher(7).encrypt(event(), data, JsonPointers({"/a"}));
  EXPECT_ERROR(cipher(8).encrypt(event(), data, JsonPointers({"/b/1"})), ErrorCode::invalid_argument, "$encrypted");
  const DecryptedData back = decrypt(event(), data, destroyed, Unreadable::say);
  EXPECT_EQ(back.data.text(), R"({"a":{"$unreadable":"key_destroyed"},"b":[true,"MARKER"],"c":3})");
  EXPECT_EQ(back.unreadable, (std::vector<UnreadablePart>{{"/a", ErrorCode::key_destroyed}}));
  const DecryptedData all =
      decrypt(event(), cipher().encrypt(event(), Json("[1]"), whole), only(cipher(7, 'l')), Unreadable::say);
  EXPECT_EQ(all.data.text(), R"({"$unreadable":"wrong_key"})");
}

TEST(Encryption, RefusesWhatCouldBeTakenForAnEnvelope) {
  for (const char* text :
       {R"({"$encrypted":1})", R"({"a":[{"b":{"$encrypted":{}}}]})", R"([{"\u0024encrypted":null}])"}) {
    EXPECT_ERROR(cipher().encrypt(event(), Json(text), JsonPointers({"/x"})), ErrorCode::invalid_argument,
                 "\"$encrypted\"");
    EXPECT_ERROR(cipher().fingerprint_form("acme", Json(text), JsonPointers({"/x"})), ErrorCode::invalid_argument,
                 "\"$encrypted\"");
  }
  EXPECT_NO_THROW(cipher().encrypt(event(), Json(R"({"a":"$encrypted","encrypted":1})"), whole));
}

TEST(Encryption, AnEnvelopeHasToFitIntoTheDepth) {
  const auto nested = [](int levels) {
    return Json(string(static_cast<std::size_t>(levels), '[') + "1" + string(static_cast<std::size_t>(levels), ']'));
  };
  const auto place = [](int tokens) {
    string pointer;
    for (int i = 0; i < tokens; ++i) pointer += "/0";
    return JsonPointers({pointer});
  };
  const Json deep = cipher().encrypt(event(), nested(98), place(98));
  EXPECT_NO_THROW(Json(deep.text()));
  EXPECT_EQ(decrypt(event(), deep, only(cipher())).data, nested(98));
  EXPECT_ERROR(cipher().encrypt(event(), nested(99), place(99)), ErrorCode::invalid_argument, "nested too deeply");
  EXPECT_NO_THROW(cipher().encrypt(event(), nested(100), place(5)));
}

TEST(Encryption, AFingerprintDoesNotDependOnTheEventsId) {
  const Json data(R"({"a":"x","b":1})");
  const JsonPointers places({"/a"});
  const Json form = cipher().fingerprint_form("acme", data, places);
  EXPECT_EQ(form.text().find("\"x\""), string::npos);
  EXPECT_EQ(cipher().fingerprint_form("acme", Json(R"({"a":"\u0078","b":1})"), places), form);
  EXPECT_NE(cipher().fingerprint_form("acme", Json(R"({"a":"y","b":1})"), places), form);
  EXPECT_NE(cipher().fingerprint_form("other", data, places), form);
  EXPECT_NE(cipher(7, 'l').fingerprint_form("acme", data, places), form);
  const Json both = cipher().fingerprint_form("acme", Json(R"(["x","x"])"), JsonPointers({"/*"}));
  EXPECT_NE(both.value()[0], both.value()[1]);
  EXPECT_ERROR(decrypt(event(), form, only(cipher())), ErrorCode::tampered, "damaged");
}

TEST(Encryption, LargeTextsAndManyParts) {
  const Json large("{\"a\":\"" + string(5 << 20, 'x') + "\"}");
  EXPECT_EQ(decrypt(event(), cipher().encrypt(event(), large, whole), only(cipher())).data, large);
  string many = "[0";
  for (int i = 1; i < 2000; ++i) many += "," + std::to_string(i);
  const Json list(many + "]");
  EXPECT_EQ(decrypt(event(), cipher().encrypt(event(), list, JsonPointers({"/*"})), only(cipher())).data, list);
}

// What was written by an earlier program has to open: this envelope, which another implementation made, must never
// change.
TEST(Encryption, TheFormatIsFixed) {
  const Json encrypted = cipher().encrypt(event(), Json(R"({"a":"x"})"), JsonPointers({"/a"}));
  EXPECT_EQ(
      encrypted.text(),
      R"({"a":{"$encrypted":{"ct":"0A/z","iv":"jpLhSmrz1ArXwXUc","kc":"X971o307Sxo=","key":"01000000-0000-0000-0000-000000000007","tag":"CcjXMkeG38e+MEGe5uqTFg==","v":1}}})");
}

}  // namespace
}  // namespace stele
