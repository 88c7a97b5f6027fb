import java.awt.Component;
import java.awt.Container;
import java.awt.Window;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import javax.swing.JButton;
import javax.swing.JMenu;
import javax.swing.JMenuBar;
import javax.swing.JMenuItem;
import javax.swing.JTextArea;
import javax.swing.SwingUtilities;
import javax.swing.text.JTextComponent;
import uk.ac.starlink.table.StarTable;
import uk.ac.starlink.topcat.ControlWindow;
import uk.ac.starlink.topcat.Driver;
import uk.ac.starlink.topcat.TopcatModel;

/** Asks a TAP service by TOPCAT's own window, as a person would, and prints the table that comes: TapWindow URL QUERY. */
public class TapWindow {

    private static final long PATIENCE_MS = 300_000;

    public static void main(String[] words) throws Exception {
        Driver.main(new String[] {"-nohub"});
        ControlWindow control = await("the window of TOPCAT", () -> shown(ControlWindow.class));
        JMenu menu = menu(control.getJMenuBar(), "VO");
        SwingUtilities.invokeAndWait(() -> menu.setSelected(true));
        for (Component item : menu.getMenuComponents()) {
            if (item instanceof JMenuItem && ((JMenuItem) item).getText().contains("(TAP)")) {
                SwingUtilities.invokeLater(((JMenuItem) item)::doClick);
            }
        }
        Window window = await("the window of TAP", () -> named("Table Access Protocol (TAP) Query"));
        JTextComponent place = await("the field of the address", () -> all(window, JTextComponent.class).stream()
            .filter(each -> each.isShowing() && each.isEditable() && each.getText().startsWith("Select service"))
            .findFirst().orElse(null));
        SwingUtilities.invokeAndWait(() -> place.setText(words[0]));
        press(window, "Use Service");
        JTextArea query = await("the field of the query", () -> all(window, JTextArea.class).stream()
            .filter(each -> each.isShowing() && each.isEditable()).findFirst().orElse(null));
        SwingUtilities.invokeAndWait(() -> query.setText(words[1]));
        press(window, "Run Query");
        TopcatModel model = await("the table", () -> control.getTablesListModel().getSize() > 0
            ? (TopcatModel) control.getTablesListModel().getElementAt(0) : null);
        StarTable table = model.getDataModel();
        System.out.println("rows " + table.getRowCount() + " columns " + table.getColumnCount());
        for (int at = 0; at < table.getColumnCount(); at++) {
            System.out.println("column " + table.getColumnInfo(at).getName() + " " + table.getCell(0, at));
        }
        System.exit(0);
    }

    private static void press(Window window, String text) throws Exception {
        JButton button = await("the button " + text, () -> all(window, JButton.class).stream()
            .filter(each -> text.equals(each.getText()) && each.isShowing() && each.isEnabled())
            .findFirst().orElse(null));
        SwingUtilities.invokeLater(button::doClick);
    }

    private static <T> T await(String what, Supplier<T> find) throws Exception {
        long end = System.currentTimeMillis() + PATIENCE_MS;
        while (System.currentTimeMillis() < end) {
            T found = find.get();
            if (found != null) {
                return found;
            }
            Thread.sleep(100);
        }
        System.out.println("did not appear: " + what);
        System.exit(1);
        return null;
    }

    private static <T extends Window> T shown(Class<T> kind) {
        for (Window each : Window.getWindows()) {
            if (kind.isInstance(each) && each.isShowing()) {
                return kind.cast(each);
            }
        }
        return null;
    }

    private static Window named(String title) {
        for (Window each : Window.getWindows()) {
            if (each.isShowing() && each instanceof javax.swing.JFrame
                && title.equals(((javax.swing.JFrame) each).getTitle())) {
                return each;
            }
            if (each.isShowing() && each instanceof javax.swing.JDialog
                && title.equals(((javax.swing.JDialog) each).getTitle())) {
                return each;
            }
        }
        return null;
    }

    private static JMenu menu(JMenuBar bar, String text) {
        for (int at = 0; at < bar.getMenuCount(); at++) {
            if (bar.getMenu(at) != null && text.equals(bar.getMenu(at).getText())) {
                return bar.getMenu(at);
            }
        }
        throw new IllegalStateException("no menu " + text);
    }

    private static <T extends Component> List<T> all(Container root, Class<T> kind) {
        List<T> found = new ArrayList<>();
        for (Component each : root.getComponents()) {
            if (kind.isInstance(each)) {
                found.add(kind.cast(each));
            }
            if (each instanceof Container) {
                found.addAll(all((Container) each, kind));
            }
        }
        return found;
    }
}
