// A replicated key-value store: every replica applies the same writes in the same order, and a new one gets the others' contents
// first. One that does not keep up is dropped out, and gets them anew. Run one on each host; it reads commands from standard
// input and answers on standard output:
//
//   set KEY VALUE   "set KEY delivered", or durable, not_delivered, unknown
//   get KEY         "KEY=VALUE", from the local copy
//   sum             "sum ENTRIES HASH" of the whole copy
//
// usage: kv_store [NAME [DISKS]]. With DISKS, the number of hosts that keep it, the store survives the crash of all of them.
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include <vsync/client.h>

namespace {

constexpr const char* kGroup = "kv";

class Store final : public vsync::Handler {
 public:
  explicit Store(bool durable) : durable_(durable) {}

  [[nodiscard]] bool durable() const { return durable_; }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] std::uint64_t version() const { return version_; }

  void print(const std::string& key) const {
    const auto found = entries_.find(key);
    std::cout << key << '=' << (found == entries_.end() ? "" : found->second) << std::endl;
  }
  void print_sum() const { std::cout << "sum " << entries_.size() << ' ' << std::hash<std::string>()(to_bytes()) << std::endl; }
  void sent(vsync::Ticket ticket, const std::string& key) { writes_[ticket] = key; }

  // ---- the replicated part: nothing but these changes the entries

  void on_messages(const vsync::Delivery& delivery) override {
    for (const auto message : delivery.messages) {
      apply(message);
    }
  }

  /// A copy, because writes go on while the state is under way.
  std::unique_ptr<vsync::StateSource> on_state_request(std::string_view) override { return vsync::whole_state(to_bytes()); }

  void on_state(const vsync::StatePiece& piece) override {
    if (piece.offset == 0) {
      arriving_.clear();  // a new state, or the same from another member
    }
    arriving_ += piece.bytes;
    if (piece.last && (durable_ || !piece.cold)) {
      from_bytes(arriving_);  // durable and cold: there is no checkpoint, all writes follow
    }
    if (piece.last) {  // cold: nobody has the contents, so ours count: the first replica's are empty
      arriving_.clear();
    }
    if (piece.last && !durable_) {
      get_ready();
    }
  }

  /// The checkpoint came by on_state, the writes since then by on_messages.
  void on_restored(const vsync::Restored&) override { get_ready(); }

  // ---- what the replica knows about itself

  void on_excluded(std::string_view, std::string_view why) override {
    ready_ = false;  // others go on without us; the library joins again, and on_state follows
    std::cout << "excluded: " << why << std::endl;
  }

  void on_gap(const vsync::Gap& gap) override {
    ready_ = false;  // the same
    std::cout << "gap: " << gap.missed << " writes" << std::endl;
  }

  void on_sent(const vsync::Sent& sent) override {
    const char* const words[] = {"delivered", "not_delivered", "unknown"};
    for (std::uint64_t i = 0; i < sent.count; ++i) {
      const auto write = writes_.extract(sent.first + i);
      const char* const word = sent.durable ? "durable" : words[static_cast<int>(sent.fate)];
      std::cout << "set " << (write ? write.mapped() : "?") << ' ' << word << std::endl;
    }
  }

 private:
  void get_ready() {
    ready_ = true;
    std::cout << "ready" << std::endl;
  }

  /// A write is "KEY VALUE".
  void apply(std::string_view write) {
    const auto space = write.find(' ');
    entries_[std::string(write.substr(0, space))] = write.substr(space + 1);
    ++version_;
  }

  [[nodiscard]] std::string to_bytes() const {
    std::ostringstream out;
    out << version_ << '\n';
    for (const auto& [key, value] : entries_) {
      out << key << ' ' << value << '\n';
    }
    return std::move(out).str();
  }

  void from_bytes(const std::string& bytes) {
    std::istringstream in(bytes);
    std::uint64_t version = 0;
    std::string line;
    in >> version >> std::ws;
    entries_.clear();
    while (std::getline(in, line)) {
      apply(line);
    }
    version_ = version;
  }

  bool durable_;
  std::map<std::string, std::string> entries_;
  std::uint64_t version_ = 0;  ///< writes applied since the group began: the newest copy has the highest
  std::string arriving_;
  bool ready_ = false;
  std::map<vsync::Ticket, std::string> writes_;  ///< without outcome
};

/// One command of the user. False: it must wait.
bool execute(const std::string& line, Store& store, vsync::Client& client) {
  std::istringstream words(line);
  std::string command;
  std::string key;
  std::string value;
  words >> command >> key >> std::ws;
  std::getline(words, value);
  if (command == "set" && !value.empty()) {
    const auto ticket = client.try_post(kGroup, key + ' ' + value, {.durable = store.durable()});
    if (ticket) {
      store.sent(*ticket, key);
    }
    return ticket.has_value();
  }
  if ((command == "get" || command == "sum") && !store.ready()) {
    return false;  // what we have is not the group's
  }
  if (command == "get") {
    store.print(key);
  } else if (command == "sum") {
    store.print_sum();
  } else {
    std::cout << "commands: set KEY VALUE, get KEY, sum" << std::endl;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const auto disks = argc > 2 ? static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10)) : 0;
  Store store(disks > 0);
  vsync::Client client(store, {.name = "kv_store"});
  const vsync::JoinOptions options{.member_name = argc > 1 ? argv[1] : "",
                                   .total_only = true,
                                   .state = true,
                                   .when_slow = vsync::WhenSlow::gap,
                                   .durable = {.disks = disks, .every_messages = 1000}};
  if (const auto view = client.join(kGroup, options); !view) {
    std::cerr << "cannot join: " << view.failure().message << '\n';
    return 1;
  }
  std::string input;
  bool open = true;
  while (open) {
    pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {client.native_handle(), POLLIN, 0}};
    ::poll(ready, 2, 100);
    client.set_offer(kGroup, store.version());  // should all replicas lose their daemons at once, the newest copy wins
    static_cast<void>(client.poll());
    char bytes[4096];
    if ((ready[0].revents & (POLLIN | POLLHUP)) != 0) {
      const auto got = ::read(STDIN_FILENO, bytes, sizeof bytes);
      open = got > 0;
      input.append(bytes, open ? static_cast<std::size_t>(got) : 0);
    }
    for (auto end = input.find('\n'); end != std::string::npos && execute(input.substr(0, end), store, client);) {
      input.erase(0, end + 1);
      end = input.find('\n');
    }
  }
  if (!input.empty()) {
    std::cerr << "not done: " << input << '\n';
  }
  static_cast<void>(client.flush());
  static_cast<void>(client.leave(kGroup));
}
