#include "settings.hpp"

#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <sstream>

namespace fs = std::filesystem;

namespace {

constexpr int FORMAT = 1;  // of model.txt

void read_labels(Settings& settings) {
    const auto file = settings.folder / "labels.txt";
    if (!fs::exists(file)) return;
    const auto bytes = read_bytes(file);
    std::istringstream text(std::string(bytes.begin(), bytes.end()));
    for (std::string line; std::getline(text, line);) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        settings.labels.push_back(line);
    }
    if (settings.labels.size() != static_cast<std::size_t>(settings.classes))
        throw Refusal(file.string() + " has " + std::to_string(settings.labels.size()) + " lines, and the model " +
                      std::to_string(settings.classes) + " classes: correct it or remove it");
}

}  // namespace

std::vector<unsigned char> read_bytes(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    std::vector<unsigned char> bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    if (!stream.is_open() || stream.bad() || fs::is_directory(file)) throw Refusal(file.string() + " cannot be read");
    return bytes;
}

Settings read_settings(const fs::path& folder) {
    Settings found;
    found.folder = folder;
    const auto file = folder / "model.txt";
    if (!fs::is_regular_file(file))
        throw Refusal(file.string() + " is missing: name the exported folder with --model FOLDER");
    int format = 0;
    auto& images = found.preprocessing;
    const auto number = [](auto& value) { return [&value](std::istream& in) { in >> value; }; };
    const auto triple = [](double (&value)[3]) {
        return [&value](std::istream& in) { in >> value[0] >> value[1] >> value[2]; };
    };
    const auto text = [](std::string& value) { return [&value](std::istream& in) { std::getline(in >> std::ws, value); }; };
    const std::map<std::string, std::function<void(std::istream&)>> known = {
        {"format", number(format)},
        {"model", text(found.model)},
        {"precision", text(found.precision)},
        {"head", text(found.head)},
        {"input", text(found.input)},
        {"output", text(found.output)},
        {"size", number(found.size)},
        {"classes", number(found.classes)},
        {"batch", number(found.batch)},
        {"threads", number(found.threads)},
        {"resize_short", number(images.resize_short)},
        {"crop", number(images.crop)},
        {"keep_ratio", number(images.keep_ratio)},
        {"interpolation", text(images.interpolation)},
        {"mean", triple(images.mean)},
        {"std", triple(images.std)},
        {"scale", number(images.scale)},
        {"tolerance", [&found](std::istream& in) { in >> found.tolerance >> found.unit; }},
        {"file", [&found](std::istream& in) {
             std::uintmax_t bytes = 0;
             std::string name;
             std::getline(in >> bytes >> std::ws, name);
             found.files[name] = bytes;
         }}};
    const auto bytes = read_bytes(file);
    std::istringstream lines(std::string(bytes.begin(), bytes.end()));
    std::set<std::string> seen;
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream in(line);
        std::string key;
        in >> key;
        const auto one = known.find(key);
        const bool again = !seen.insert(key).second && key != "file";
        if (one != known.end() && !again) one->second(in);
        if (one == known.end() || again || in.fail() || !(in >> std::ws).eof())
            throw Refusal(file.string() + ": the line `" + line + "` is " +
                          (again ? "the second of its kind" : "not understood") + ": export the model again");
        if (key == "format" && format != FORMAT)
            throw Refusal(file.string() + " is of format " + std::to_string(format) + ", and this program reads " +
                          std::to_string(FORMAT) + ": build the program of that export");
    }
    for (const auto& [key, read] : known)
        if (!seen.count(key)) throw Refusal(file.string() + " has no line `" + key + "`: export the model again");
    const bool sound = found.size > 0 && found.classes > 0 && found.batch >= 0 && found.threads >= 0 &&
                       images.crop == found.size && images.resize_short >= images.crop && images.scale > 0 && found.tolerance > 0 &&
                       (found.unit == "paddle" || found.unit == "largest") &&
                       images.std[0] > 0 && images.std[1] > 0 && images.std[2] > 0;
    if (!sound) throw Refusal(file.string() + " has numbers that cannot be: export the model again");
    read_labels(found);
    return found;
}

fs::path checked(const Settings& settings, const std::string& name) {
    const auto again = ": export the model again";
    bool known = false;
    for (const auto& [listed, bytes] : settings.files) {
        if (listed.rfind(name, 0) != 0) continue;
        const auto file = settings.folder / listed;
        std::error_code error;
        const auto found = fs::file_size(file, error);
        if (error) throw Refusal(file.string() + " is missing" + again);
        if (found != bytes)
            throw Refusal(file.string() + " has " + std::to_string(found) + " bytes instead of " + std::to_string(bytes) + again);
        known = known || listed == name;
    }
    if (!known) throw Refusal("model.txt does not name " + name + again);
    return settings.folder / name;
}
